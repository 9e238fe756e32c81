"""What open tabs of the dashboard cost a server with a million jobs, and whether a crowd of them holds anybody up.

    python -m bench.tabs [number of jobs] [--keep FOLDER]

Twenty tabs that look every two seconds: their share of one core. Two hundred at once, ten of which search as fast
as somebody types, while another process dispatches jobs: how long an answer takes, and how long a dispatch. That
is the most: a tab that nobody sees does not look, and one without news for a minute looks every ten seconds.
Exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from werkzeug.serving import WSGIRequestHandler, make_server

from bench.dashboard import PARTIAL
from bench.full_house import fill, open_house
from bgjobs import ExampleJob, run_background_job
from bgjobs.app_state import app_state

EVERY = 2.0  # seconds between two looks of a tab
MEASURED = 40.0  # seconds
TABS, MOST_OF_A_CORE = 20, 5.0  # percent
CROWD, TYPING, LONGEST_ANSWER = 200, 10, 200.0  # ms, of 95 in a hundred answers
BETWEEN_KEYS = 0.3  # seconds, which is what the page waits after a key
PAGES = ("/dashboard/_/overview", "/dashboard/jobs", "/dashboard/logs")
TYPED = ("g", "gi", "gir", "gira", "giraf", "giraff", "giraffe")
BETWEEN_DISPATCHES = 0.02
LONGEST_DISPATCH = 1000.0  # ms, of 99 in a hundred


class QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # a browser keeps its connections

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class Reader(threading.Thread):
    """One browser: it keeps its cookie, and says what it has seen."""

    def __init__(self, port: int, paths: tuple[str, ...], first: float, every: float, until: float) -> None:
        super().__init__(daemon=True)
        self._port, self._paths, self._first, self._every, self._until = port, paths, first, every, until
        self.answers: list[tuple[float, int]] = []  # milliseconds and status, once it has its page

    def run(self) -> None:
        connection, cookie, due, tags = http.client.HTTPConnection("127.0.0.1", self._port), "", self._first, {}
        turn = 0
        while due < self._until:
            time.sleep(max(0.0, due - time.monotonic()))
            path = self._paths[turn % len(self._paths)]
            headers = {**PARTIAL, "Cookie": cookie, **({"HX-PTag": tags[path]} if path in tags else {})}
            started = time.perf_counter()
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            response.read()
            if turn >= len(self._paths):
                self.answers.append(((time.perf_counter() - started) * 1000, response.status))
            tags[path] = response.headers.get("HX-PTag", "")  # none of a server that has too much to do
            cookie = response.headers.get("Set-Cookie", cookie).partition(";")[0]
            turn, due = turn + 1, due + self._every
        connection.close()


def serve(folder: str, connection: Connection) -> None:
    server = make_server("127.0.0.1", 0, open_house(Path(folder)), threaded=True, request_handler=QuietHandler)
    server.daemon_threads = True  # type: ignore[attr-defined]
    connection.send(server.server_port)
    server.serve_forever()


@contextmanager
def server_of(folder: str) -> Iterator[tuple[int, psutil.Process]]:
    """The dashboard in a process of its own: its port, and the process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(folder, there), daemon=True)
    server.start()
    try:
        yield here.recv(), psutil.Process(server.pid)
    finally:
        server.kill()
        server.join()


def share_of_a_core(folder: str, path: str) -> tuple[float, int]:
    """How much of one core the server takes with all tabs open, in percent; and how many looks that were."""
    with server_of(folder) as (port, process):
        start = time.monotonic() + 1
        warm = start + 2 * EVERY  # every tab has its rows now
        readers = [Reader(port, (path,), start + EVERY * n / TABS, EVERY, warm + MEASURED) for n in range(TABS)]
        for reader in readers:
            reader.start()
        time.sleep(warm - time.monotonic())
        before, began = busy(process), time.monotonic()
        for reader in readers:
            reader.join()
        share = 100 * (busy(process) - before) / (time.monotonic() - began)
    answers = [status for reader in readers for _, status in reader.answers]
    assert set(answers) <= {200, 304}, set(answers)  # with each minute the overview has another picture
    return share, len(answers)


def in_a_crowd(folder: str) -> tuple[list[float], int, list[float], list[float]]:
    """Milliseconds of the answers and how many of them said that it was too much; milliseconds of the dispatches
    while nobody looks, and of those beside the crowd."""
    app = open_house(Path(folder))
    calm = dispatches(app, time.monotonic() + MEASURED / 4)
    with server_of(folder) as (port, _):
        start = time.monotonic() + 1
        until = start + MEASURED
        readers = [
            Reader(port, (PAGES[n % len(PAGES)],), start + EVERY * n / CROWD, EVERY, until)
            for n in range(CROWD - TYPING)
        ]
        searches = tuple(f"/dashboard/logs?q={term}" for term in TYPED)
        readers += [Reader(port, searches, start + n * 0.1, BETWEEN_KEYS, until) for n in range(TYPING)]
        for reader in readers:
            reader.start()
        beside = dispatches(app, until)
        for reader in readers:
            reader.join()
    app_state(app).store.database.dispose()
    answers = [answer for reader in readers for answer in reader.answers]
    refused = sum(status not in (200, 304) for _, status in answers)
    return [milliseconds for milliseconds, _ in answers], refused, calm, beside


def dispatches(app: object, until: float) -> list[float]:
    times = []
    with app.app_context():  # type: ignore[attr-defined]
        while time.monotonic() < until:
            started = time.perf_counter()
            run_background_job(ExampleJob, "run", delay=86_400)
            times.append((time.perf_counter() - started) * 1000)
            time.sleep(BETWEEN_DISPATCHES)
    return times


def busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def percentile(values: list[float], part: int) -> float:
    return statistics.quantiles(values, n=100)[part - 1]


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("jobs", nargs="?", type=int, default=1_000_000)
    arguments.add_argument("--keep", metavar="FOLDER", type=Path)
    chosen = arguments.parse_args()
    missed = False

    def row(what: str, figure: float, unit: str, target: float) -> None:
        nonlocal missed
        missed = missed or figure > target
        mark = " **missed**" if figure > target else ""
        print(f"| {what} | {figure:.2f} {unit} | {target:g} {unit}{mark} |", flush=True)

    with tempfile.TemporaryDirectory() if chosen.keep is None else nullcontext(str(chosen.keep)) as folder:
        path = Path(folder, "bench.db")
        is_filled = path.exists()
        app = open_house(Path(folder))
        if not is_filled:
            fill(app, path, chosen.jobs)
        app_state(app).store.database.dispose()
        load = " ".join(f"{value:.2f}" for value in os.getloadavg())
        print(f"{chosen.jobs:,} jobs, {os.cpu_count()} cores, load {load}\n")
        print("| | measured | target |\n|---|---:|---:|")
        for name, address in (("Overview", PAGES[0]), ("Logs", PAGES[2]), ("A job", "/dashboard/jobs/1000")):
            share, count = share_of_a_core(folder, address)
            row(f"{name}: {TABS} tabs, every {EVERY:g} s, {count} looks", share, "% of a core", MOST_OF_A_CORE)
        answers, refused, calm, beside = in_a_crowd(folder)
        row("of all answers to a crowd, those that say it is too much", 100 * refused / len(answers), "%", 0)
        row(
            f"{CROWD} tabs, {TYPING} of them typing, {len(answers)} answers: p95",
            percentile(answers, 95),
            "ms",
            LONGEST_ANSWER,
        )
        row(
            f"dispatch beside them, p99 (alone {percentile(calm, 99):.2f} ms)",
            percentile(beside, 99),
            "ms",
            LONGEST_DISPATCH,
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
