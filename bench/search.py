"""How quick the log table is on a database with a million logs: whole requests, from the URL to the HTML.

    python bench/search.py [number of logs]

Fills a temporary SQLite database, indexes it as the supervisor does, and prints a table of medians with
their targets. Exits with 1 where a target is missed.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from bgjobs import BackgroundJobs
from bgjobs.app_state import app_state
from bgjobs.log_search import index_batch

ROUNDS = 21
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
LOGS_OF_A_JOB = 6
RARE_EVERY = 200_000

JOB = (
    "INSERT INTO background_jobs (id, class_name, method_name, parameters, status, queue, priority, retry_count, "
    "max_retries, retry_delay, scheduled_at, created_at, updated_at, attempt) "
    "VALUES (?, 'shop.jobs.EmailNotification', 'send', ?, 'completed', 'default', 0, 0, 3, '5.0', ?, ?, ?, 1)"
)
LOG = "INSERT INTO job_logs (background_job_id, type, message, created_at) VALUES (?, ?, ?, ?)"


def make_app(folder: str) -> Flask:
    app = Flask("bench", instance_path=folder)
    app.config.update(
        SQLALCHEMY_DATABASE_URI="sqlite:///bench.db", BGJOBS_AUTOSTART=False, BGJOBS_DASHBOARD_ACCESS="open"
    )
    BackgroundJobs(app, SQLAlchemy(app))
    app_state(app).store.database.migrate()
    return app


def story(job: int, time_: str) -> Iterator[tuple[int, str, str, str]]:
    """The logs of one job, every tenth of which fails."""
    failed = random.random() < 0.1
    row = (
        f'{{"id":{job},"class_name":"shop.jobs.EmailNotification","method_name":"send","parameters":'
        f'{{"to":"user{random.randrange(10**6)}@example.com","subject":"Hello"}},"status":"pending","retry_count":0}}'
    )
    yield job, "success", "Background job initiated", time_
    yield job, "success", "Background job dispatched on Linux platform", time_
    yield job, "success", row, time_
    yield job, "success", "Background job started", time_
    if failed:
        yield job, "failure", f"ValueError: no such user {random.randrange(10**6)} (attempt 1 of 4)", time_
        yield job, "info", "Scheduled retry attempt 1 of 3 in 5 s", time_
    else:
        rare = job % (RARE_EVERY // LOGS_OF_A_JOB) == 7
        yield job, "info", "the rare giraffe has left the building" if rare else "Sent 1 message in 84 ms", time_
        yield job, "success", "Background job completed processing", time_


def fill(path: Path, number: int) -> None:
    random.seed(1)
    start = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=30)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        for first in range(1, number // LOGS_OF_A_JOB + 2, 10_000):
            numbers = range(first, min(first + 10_000, number // LOGS_OF_A_JOB + 2))
            times = {job: str(start + timedelta(seconds=10 * job)) for job in numbers}
            connection.executemany(JOB, ((job, '{"to":"ada"}', *[times[job]] * 3) for job in numbers))
            connection.executemany(LOG, (log for job in numbers for log in story(job, times[job])))
            connection.commit()
            print(f"\r{numbers[-1] * LOGS_OF_A_JOB:>9,} logs written", end="", file=sys.stderr)
    print(file=sys.stderr)


def index(app: Flask) -> None:
    done = 0
    while True:
        with app_state(app).store.database.writing() as connection:
            batch = index_batch(connection, 20_000)
        if not batch:
            break
        done += batch
        print(f"\r{done:>9,} logs indexed", end="", file=sys.stderr)
    print(file=sys.stderr)


def measure(app: Flask, path: str, headers: dict[str, str]) -> float:
    """The median time of a request, in milliseconds."""
    client = app.test_client()
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        response = client.get(path, headers=headers)
        times.append((time.perf_counter() - started) * 1000)
        assert response.status_code in (200, 304), response.status
    return statistics.median(times)


def main() -> int:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        app = make_app(folder)
        fill(Path(folder, "bench.db"), number)
        index(app)
        tag = app.test_client().get("/dashboard", headers=PARTIAL).headers["HX-PTag"]
        deep = f"/dashboard?before={number // 2}"
        cases: list[tuple[str, str, dict[str, str], float]] = [
            ("First page", "/dashboard", {}, 30),
            ("Unchanged poll", "/dashboard", {**PARTIAL, "HX-PTag": tag}, 3),
            ("Page from the middle on", deep, {}, 30),
            ("Page 1,000", "/dashboard?page=1000", {}, 50),
            ("One type", "/dashboard?type=failure", PARTIAL, 30),
            ("Rare word (giraffe)", "/dashboard?q=giraffe", PARTIAL, 50),
            ("Rare word of common parts (user123456@)", "/dashboard?q=user123456@", PARTIAL, 50),
            ("Word that is nowhere", "/dashboard?q=zebra", PARTIAL, 50),
            ("Common word (background)", "/dashboard?q=background", PARTIAL, 50),
            ("Common word, one type", "/dashboard?q=attempt&type=failure", PARTIAL, 50),
            ("Number of a job", "/dashboard?q=%23123456", PARTIAL, 50),
            ("Two letters that are everywhere (jo)", "/dashboard?q=jo", PARTIAL, 200),
            ("Two letters that are nowhere (zq)", "/dashboard?q=zq", PARTIAL, 200),
        ]
        print(f"{number:,} logs, SQLite {sqlite3.sqlite_version}, median of {ROUNDS} requests\n")
        print("| request | median | target |\n|---|---:|---:|")
        missed = False
        for name, path, headers, target in cases:
            median = measure(app, path, headers)
            missed = missed or median > target
            print(
                f"| {name} | {median:.1f} ms | {target:g} ms{' **missed**' if median > target else ''} |",
                flush=True,
            )
        app_state(app).store.database.dispose()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
