"""The limit: fork, exit and wait of a process that has Flask and SQLAlchemy loaded, and nothing else.

Run as a program it prints the rate, so that it is measured in a process that has nothing besides.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time

import flask  # noqa: F401 - loaded to be copied by each fork
import flask_sqlalchemy  # noqa: F401
import sqlalchemy  # noqa: F401


def forks_per_second(count: int, in_flight: int) -> float:
    """Fork ``count`` processes that leave at once, ``in_flight`` at a time."""
    gc.collect()
    gc.freeze()
    started = living = 0
    begin = time.perf_counter()
    while started < count or living:
        while started < count and living < in_flight:
            if os.fork() == 0:
                os._exit(0)
            started, living = started + 1, living + 1
        os.wait()
        living -= 1
    return count / (time.perf_counter() - begin)


def measured_apart(count: int, in_flight: int = 4) -> float:
    """The rate, in a process that has nothing besides."""
    command = [sys.executable, __file__, str(count), str(in_flight)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    print(forks_per_second(int(sys.argv[1]), int(sys.argv[2])))
