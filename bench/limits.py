"""What no system can beat here: ``python -m bench.limits PLAN`` prints it as JSON.

The forks are those of ``forks.py``, the commits those of an SQLite file with full sync, and the interpreter is
one that loads the application of the benchmarks, as a job does that is a program of its own.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from bench.forks import measured_apart
from bench.measure import Figures, in_folder

_LOADS_THE_APPLICATION = "from bench.application import create_app; create_app()"


def commits_per_second(folder: Path, seconds: float) -> float:
    """Transactions of one row each, one after another."""
    connection = sqlite3.connect(folder / "commits.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (number INTEGER)")
    count, begin = 0, time.perf_counter()
    while time.perf_counter() < begin + seconds:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (?)", [count])
        connection.execute("COMMIT")
        count += 1
    connection.close()
    return count / (time.perf_counter() - begin)


def interpreters_per_second(count: int) -> float:
    """Two at a time."""
    begin = time.perf_counter()
    for _ in range(count // 2):
        pair = [load_the_application() for _ in range(2)]
        for process in pair:
            process.wait()
    return count // 2 * 2 / (time.perf_counter() - begin)


def load_the_application() -> subprocess.Popen[bytes]:
    """A fresh interpreter that loads the application and ends."""
    return subprocess.Popen([sys.executable, "-c", _LOADS_THE_APPLICATION], env={**os.environ})


def limits(folder: Path, forks: int, seconds: float, interpreters: int) -> Figures:
    return {
        "forks": measured_apart(forks),
        "commits": commits_per_second(folder, seconds),
        "interpreters": interpreters_per_second(interpreters),
    }


if __name__ == "__main__":
    plan = json.loads(sys.argv[1])
    print(json.dumps(in_folder(lambda folder: limits(folder, **plan))))
