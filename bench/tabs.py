"""What open tabs of the dashboard cost a server, on a database with a million logs.

    python bench/tabs.py [number of logs]

Prints how long a look takes that brings nothing new, and what share of one core it takes to answer 20 tabs that
look every two seconds. That is the most: a tab that nobody sees does not look at all, and one without news for a
minute looks every ten seconds. Exits with 1 where a target is missed.
"""

from __future__ import annotations

import http.client
import multiprocessing
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from flask.testing import FlaskClient
from search import PARTIAL, fill, make_app
from werkzeug.serving import WSGIRequestHandler, make_server

from bgjobs.app_state import app_state

LOOKS = 201
TABS = 20
EVERY = 2.0  # seconds
MEASURED = 40.0
MOST_OF_A_LOOK = 3.0  # milliseconds
MOST_OF_THE_TABS = 5.0  # percent of one core
VIEWS = {
    "Log table": "/dashboard",
    "One type, 100 rows": "/dashboard?type=failure&per_page=100",
    "Search": "/dashboard?q=giraffe",
    "Page of a job": "/dashboard/jobs/1000",
}


class QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # a browser keeps its connections

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def looks(client: FlaskClient, path: str) -> list[float]:
    """The times of looks that bring nothing new, in milliseconds, in order of size."""
    tag = client.get(path, headers=PARTIAL).headers["HX-PTag"]
    times = []
    for _ in range(LOOKS):
        started = time.perf_counter()
        response = client.get(path, headers={**PARTIAL, "HX-PTag": tag})
        times.append((time.perf_counter() - started) * 1000)
        assert response.status_code == 304, response.status
    return sorted(times)


def serve(folder: str, connection: Connection) -> None:
    server = make_server("127.0.0.1", 0, make_app(folder), threaded=True, request_handler=QuietHandler)
    server.daemon_threads = True  # type: ignore[attr-defined]
    connection.send(server.server_port)
    server.serve_forever()


def tab(port: int, path: str, first: float, until: float, statuses: list[int]) -> None:
    connection, tag, cookie, due = http.client.HTTPConnection("127.0.0.1", port), "", "", first
    while due < until:
        time.sleep(max(0.0, due - time.monotonic()))
        connection.request("GET", path, headers={**PARTIAL, "HX-PTag": tag, "Cookie": cookie})
        response = connection.getresponse()
        response.read()
        tag = response.headers["HX-PTag"]
        cookie = response.headers.get("Set-Cookie", cookie).partition(";")[0]
        statuses.append(response.status)
        due += EVERY
    connection.close()


def share_of_a_core(folder: str, path: str) -> tuple[float, int]:
    """How much of one core the server takes with all tabs open, in percent; and how many looks that were."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(folder, there), daemon=True)
    server.start()
    try:
        port = here.recv()
        start = time.monotonic() + 1
        statuses: list[int] = []
        tabs = [
            threading.Thread(
                target=tab, args=(port, path, start + EVERY * n / TABS, start + 2 * EVERY + MEASURED, statuses)
            )
            for n in range(TABS)
        ]
        for thread in tabs:
            thread.start()
        time.sleep(start + 2 * EVERY - time.monotonic())  # every tab has its rows now
        process, asked = psutil.Process(server.pid), len(statuses)
        before, began = busy(process), time.monotonic()
        for thread in tabs:
            thread.join()
        share = 100 * (busy(process) - before) / (time.monotonic() - began)
        assert set(statuses[asked:]) == {304}
        return share, len(statuses) - asked
    finally:
        server.kill()
        server.join()


def busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> int:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    missed = False

    def row(what: str, figure: float, unit: str, target: float) -> None:
        nonlocal missed
        missed = missed or figure > target
        mark = " **missed**" if figure > target else ""
        print(f"| {what} | {figure:.2f} {unit} | {target:g} {unit}{mark} |", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        app = make_app(folder)
        fill(Path(folder, "bench.db"), number)
        load = " ".join(f"{value:.2f}" for value in os.getloadavg())
        print(f"{number:,} logs, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores, load {load}\n")
        print("| | measured | target |\n|---|---:|---:|")
        for name, path in VIEWS.items():
            times = looks(app.test_client(), path)
            row(f"{name}: a look without news, median of {LOOKS}", statistics.median(times), "ms", MOST_OF_A_LOOK)
        app_state(app).store.database.dispose()
        for name in ("Log table", "Page of a job"):
            share, count = share_of_a_core(folder, VIEWS[name])
            row(f"{name}: {TABS} tabs, every {EVERY:g} s, {count} looks", share, "%", MOST_OF_THE_TABS)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
