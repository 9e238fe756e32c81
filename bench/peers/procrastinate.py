"""Procrastinate on PostgreSQL: two workers, each with one job at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector

from bench import jobs
from bench.driver import Driver
from bench.postgres_db import OwnDatabase

app = App(connector=PsycopgConnector(conninfo=os.environ.get("BENCH_DATABASE", "")))
TASKS = {"nothing": app.task(jobs.nothing, name="nothing"), "work": app.task(jobs.work, name="work")}


class TwoWorkers(Driver):
    name = "Procrastinate"
    note = "PostgreSQL, 2 workers"
    per_second = 200

    def setup(self) -> None:
        self._database = OwnDatabase()
        os.environ["BENCH_DATABASE"] = url = self._database.url
        self._opened = contextlib.ExitStack()
        self._opened.enter_context(app.replace_connector(SyncPsycopgConnector(conninfo=url, max_size=8)))
        self._opened.enter_context(app.open())
        app.schema_manager.apply_schema()

    def start(self) -> None:
        for _ in range(2):
            self.run_worker("-m", "bench.peers.procrastinate")

    def dispatch(self, job: str, number: int) -> None:
        TASKS[job].defer(number=number)

    def dispatch_many(self, job: str, numbers: Sequence[int]) -> None:
        TASKS[job].batch_defer(*({"number": number} for number in numbers))

    def teardown(self) -> None:
        super().teardown()
        self._opened.close()
        self._database.drop()


if __name__ == "__main__":
    app.run_worker(concurrency=1)
