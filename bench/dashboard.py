"""How quick the dashboard is on a database with a million jobs and four million logs: whole requests, from the
address to the HTML.

    python -m bench.dashboard [number of jobs] [--keep FOLDER]

Fills a temporary SQLite database, indexes it as the supervisor does, and prints a table of medians with their
targets. Exits with 1 where a target is missed. With ``--keep`` the database stays in that folder and is used
again the next time.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from bench.full_house import CLASSES, LOGS_OF_A_JOB, fill, open_house
from bgjobs.app_state import app_state
from bgjobs.dashboard.jobs import choices
from bgjobs.dashboard.overview import past
from bgjobs.dashboard.shared import Shared

ROUNDS = 21
FIRST = ", first look of a process"
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}


def cases(client: FlaskClient, jobs: int) -> list[tuple[str, str, dict[str, str], float]]:
    """What is asked for, and in how many milliseconds it has to be there."""

    def unchanged(path: str) -> dict[str, str]:
        return {**PARTIAL, "HX-PTag": client.get(path, headers=PARTIAL).headers["HX-PTag"]}

    return [
        ("Overview with the logs", "/dashboard", {}, 50),
        *(
            (f"Overview, {name}", f"/dashboard/_/overview?range={name}", PARTIAL, 50)
            for name in ("1h", "24h", "7d")
        ),
        *(
            (f"Overview, {name}{FIRST}", f"/dashboard/_/overview?range={name}", PARTIAL, 50)
            for name in ("24h", "7d")
        ),
        ("Overview, unchanged poll", "/dashboard/_/overview", unchanged("/dashboard/_/overview"), 3),
        ("Logs, first page", "/dashboard/logs", {}, 50),
        ("Logs, unchanged poll", "/dashboard/logs", unchanged("/dashboard/logs"), 3),
        ("Logs, from the middle on", f"/dashboard?before={jobs * LOGS_OF_A_JOB // 2}", {}, 50),
        ("Logs, page 1,000", "/dashboard?page=1000", {}, 50),
        ("Logs, one type", "/dashboard?type=failure", PARTIAL, 50),
        ("Logs, rare word (giraffe)", "/dashboard?q=giraffe", PARTIAL, 50),
        ("Logs, rare word of common parts (user123456@)", "/dashboard?q=user123456@", PARTIAL, 50),
        ("Logs, word that is nowhere", "/dashboard?q=zebra", PARTIAL, 50),
        ("Logs, common word (background)", "/dashboard?q=background", PARTIAL, 50),
        ("Logs, common word, one type", "/dashboard?q=attempt&type=failure", PARTIAL, 50),
        ("Logs, number of a job", "/dashboard?q=%23123456", PARTIAL, 50),
        ("Logs, two letters that are everywhere (jo)", "/dashboard?q=jo", PARTIAL, 200),
        ("Logs, two letters that are nowhere (zq)", "/dashboard?q=zq", PARTIAL, 200),
        ("Jobs, first page", "/dashboard/jobs", {}, 50),
        (f"Jobs{FIRST}", "/dashboard/jobs", {}, 50),
        ("Jobs, unchanged poll", "/dashboard/jobs", unchanged("/dashboard/jobs"), 3),
        ("Jobs, 100 rows", "/dashboard/jobs?per_page=100", {}, 50),
        ("Jobs, oldest first", "/dashboard/jobs?sort=oldest", PARTIAL, 50),
        ("Jobs that failed", "/dashboard/jobs?state=failed", PARTIAL, 50),
        ("Jobs of a class that failed", f"/dashboard/jobs?state=failed&class={CLASSES[1][0]}", PARTIAL, 50),
        ("Jobs of a class", f"/dashboard/jobs?class={CLASSES[1][0]}", PARTIAL, 50),
        ("Jobs of a queue", "/dashboard/jobs?queue=slow", PARTIAL, 50),
        ("Jobs, a text in their parameters", "/dashboard/jobs?q=user123456@", PARTIAL, 50),
        ("Jobs, a text in masked secrets alone", "/dashboard/jobs?q=hunter", PARTIAL, 50),
        ("Jobs, two letters that are nowhere (zq)", "/dashboard/jobs?q=zq", PARTIAL, 200),
        ("One job", f"/dashboard/jobs/{jobs // 2}", {}, 50),
        ("One job that waits, and why", f"/dashboard/jobs/{jobs - 10}", {}, 50),
        ("Processes", "/dashboard/processes", {}, 50),
        ("Queues", "/dashboard/queues", {}, 50),
        ("Health", "/dashboard/health", {}, 50),
    ]


def forget() -> None:
    """What a web process knows after its first looks: settled points of the charts, numbers of ten seconds."""
    past.pasts.clear()
    choices.shared = Shared(seconds=choices.shared.seconds)


def measure(client: FlaskClient, name: str, path: str, headers: dict[str, str]) -> float:
    """The median time of a request, in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        if name.endswith(FIRST):
            forget()
        started = time.perf_counter()
        response = client.get(path, headers=headers)
        times.append((time.perf_counter() - started) * 1000)
        assert response.status_code in (200, 304), (path, response.status)
    return statistics.median(times)


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("jobs", nargs="?", type=int, default=1_000_000)
    arguments.add_argument("--keep", metavar="FOLDER", type=Path)
    chosen = arguments.parse_args()
    jobs: int = chosen.jobs
    with tempfile.TemporaryDirectory() if chosen.keep is None else nullcontext(str(chosen.keep)) as folder:
        path = Path(folder, "bench.db")
        is_filled = path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        app = open_house(path.parent)
        if not is_filled:
            fill(app, path, jobs)
        missed = report(app, jobs)
        app_state(app).store.database.dispose()
    return int(missed)


def report(app: Flask, jobs: int) -> bool:
    """Print the table; whether a target is missed."""
    rows = f"{jobs:,} jobs, {jobs * LOGS_OF_A_JOB:,} logs"
    print(f"{rows}, SQLite {sqlite3.sqlite_version}, median of {ROUNDS} requests\n")
    print("| request | median | target |\n|---|---:|---:|")
    missed = False
    client = app.test_client()  # one, because what a page shows depends on its reader
    for name, path, headers, target in cases(client, jobs):
        median = measure(client, name, path, headers)
        missed = missed or median > target
        mark = " **missed**" if median > target else ""
        print(f"| {name} | {median:.1f} ms | {target:g} ms{mark} |", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main())
