"""Celery on Redis with its process pool; and with a fresh process for each task."""

from __future__ import annotations

import os

from celery import Celery as CeleryApp

from bench import jobs
from bench.driver import Driver
from bench.redis_db import PREFIX, RedisDatabase

app = CeleryApp("bench", broker=os.environ.get("BENCH_BROKER"))
app.conf.update(
    task_ignore_result=True,
    broker_transport_options={"global_keyprefix": PREFIX},
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)
nothing = app.task(jobs.nothing, name="nothing")
work = app.task(jobs.work, name="work")


class Prefork(Driver):
    name = "Celery, prefork"
    note = "Redis, concurrency 2; results ignored"
    per_second = 1000
    options: tuple[str, ...] = ()

    def setup(self) -> None:
        self._database = RedisDatabase()
        os.environ["BENCH_BROKER"] = app.conf.broker_url = self._database.url

    def start(self) -> None:
        self.run_worker(
            *("-m", "celery", "-A", "bench.peers.celery", "worker", "--pool", "prefork", "--concurrency", "2"),
            *("--loglevel", "WARNING", *self.options),
        )

    def dispatch(self, job: str, number: int) -> None:
        app.tasks[job].delay(number)

    def teardown(self) -> None:
        super().teardown()
        app.close()
        self._database.release()


class TaskPerChild(Prefork):
    name = "Celery, a task a child"
    note = "the same with --max-tasks-per-child 1"
    per_second = 15
    options = ("--max-tasks-per-child", "1")
