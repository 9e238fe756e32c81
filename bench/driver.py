"""The contract that a system fulfils to be measured."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

JOBS = ("nothing", "work")


class NotMeasured(Exception):
    """This system cannot be measured here; the message says why."""


class Driver:
    """One system. ``setup`` makes the queue, ``start`` the workers, ``teardown`` leaves nothing of either."""

    name = ""
    per_second = 1000
    """Jobs that it does in a second, roughly: a slow system gets fewer, or one run would take hours."""
    note = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._workers: list[subprocess.Popen[bytes]] = []

    def setup(self) -> None:
        """Make the queue, and start nobody yet. Raises :class:`NotMeasured`."""

    def start(self) -> None:
        """Start the workers."""
        raise NotImplementedError

    def dispatch(self, job: str, number: int) -> None:
        """Give one of ``JOBS`` to the workers."""
        raise NotImplementedError

    def dispatch_many(self, job: str, numbers: Sequence[int]) -> None:
        """The same for many, by the call that the system has for it."""
        for number in numbers:
            self.dispatch(job, number)

    def settled(self) -> bool:
        """Whether the system has also written down all that it writes about jobs that ran."""
        return True

    def in_thread(self) -> contextlib.AbstractContextManager[object]:
        """What a thread enters before it dispatches."""
        return contextlib.nullcontext()

    def teardown(self) -> None:
        """End what was started and remove what was stored."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            try:
                worker.wait(10)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self._workers.clear()

    def run_worker(self, *arguments: str) -> None:
        """Start ``python`` with ``arguments`` as a worker, its output in a file of the folder."""
        with open(self.folder / "workers.log", "ab") as log:
            self._workers.append(
                subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            )


def redis_url() -> str:
    """The Redis server, without a database: on this host, unless the environment says another."""
    return os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379")
