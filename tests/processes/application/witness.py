"""What a job did, written down where no database is involved: one line, one ``O_APPEND`` write, for each event.

``job_id retry pid event moment``. The moment is on the monotonic clock, which all processes share.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bgjobs import current_job

_FOLDER = Path(__file__).resolve().parent.parent


@contextmanager
def witness() -> Iterator[None]:
    """Note the start of the job, and its end where it comes to that."""
    lock = os.open(_FOLDER / "locks" / str(current_job.id), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        # The kernel is the judge: as long as a process is in this block, no other gets this lock, and with
        # the process it goes. A record lock, unlike flock, does not go on in what the job forks.
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note("overlap")
    note("start")
    try:
        yield
        note("end")
    finally:
        with suppress(OSError):  # one of the jobs closes everything
            os.close(lock)


def note(event: str) -> None:
    """Write a line. ``event`` is one word."""
    moment = time.clock_gettime(time.CLOCK_MONOTONIC)
    line = f"{current_job.id} {current_job.retry_count} {os.getpid()} {event} {moment!r}\n"
    descriptor = os.open(_FOLDER / "witness", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def wait_for_gate(name: str, seconds: float = 60.0) -> None:
    """Wait until the test opens the gate."""
    deadline = time.monotonic() + seconds
    while not (_FOLDER / "gates" / name).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody opened the gate {name}")
        time.sleep(0.005)
