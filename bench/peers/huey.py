"""Huey on SQLite with two worker processes. Its SQLite syncs at each commit, as that of bgjobs does."""

from __future__ import annotations

import os

from huey import SqliteHuey

from bench import jobs
from bench.driver import Driver

queue = SqliteHuey(filename=os.path.join(os.environ["BENCH_FOLDER"], "huey.db"))
TASKS = {"nothing": queue.task()(jobs.nothing), "work": queue.task()(jobs.work)}


class TwoProcesses(Driver):
    name = "Huey"
    note = "SQLite, full sync, 2 process workers; records nothing about its jobs"
    per_second = 800

    def start(self) -> None:
        self.run_worker(
            *("-m", "huey.bin.huey_consumer", "bench.peers.huey.queue", "--workers", "2"),
            *("--worker-type", "process", "--quiet"),
        )

    def dispatch(self, job: str, number: int) -> None:
        TASKS[job](number)
