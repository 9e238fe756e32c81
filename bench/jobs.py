"""The two jobs that every system runs, and one that only waits. Each of the two leaves a mark in a file, which is
how it is known that it ran.

The worker of a Flask application has Flask and SQLAlchemy loaded, so every worker here has.
"""

from __future__ import annotations

import os
import struct
import time

import flask  # noqa: F401
import flask_sqlalchemy  # noqa: F401

MARK = struct.Struct("<qqd")
"""The number of the job, the pid that ran it, the moment on the monotonic clock."""

CPU_SECONDS = 0.005

# Opened while the worker loads: a mark is one write of a few microseconds, the same for every system.
_marks = os.open(os.path.join(os.environ["BENCH_FOLDER"], "marks"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def nothing(number: int) -> None:
    """Leave the mark."""
    os.write(_marks, MARK.pack(number, os.getpid(), time.monotonic()))


def work(number: int) -> None:
    """Use 5 ms of CPU time, however busy the machine is, and leave the mark."""
    end = time.process_time() + CPU_SECONDS
    while time.process_time() < end:
        pass
    nothing(number)


def rest() -> None:
    """Wait, as for a mail server that does not answer, for longer than anybody measures."""
    time.sleep(600)
