"""RQ on Redis. It forks a process for each job, as bgjobs does."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from redis import Redis
from rq import Queue, Worker

from bench import jobs
from bench.driver import Driver
from bench.redis_db import RedisDatabase


class OneWorker(Driver):
    name = "RQ, 1 worker"
    note = "Redis; forks a process a job"
    per_second = 75
    workers = 1

    def setup(self) -> None:
        self._database = RedisDatabase()
        self._queue = Queue(connection=self._database.connection)

    def start(self) -> None:
        for _ in range(self.workers):
            self.run_worker("-m", "bench.peers.rq", self._database.url)

    def dispatch(self, job: str, number: int) -> None:
        self._queue.enqueue(getattr(jobs, job), number, result_ttl=0)

    def dispatch_many(self, job: str, numbers: Sequence[int]) -> None:
        call = getattr(jobs, job)
        self._queue.enqueue_many([Queue.prepare_data(call, (number,), result_ttl=0) for number in numbers])

    def teardown(self) -> None:
        super().teardown()
        self._database.release()


class TwoWorkers(OneWorker):
    name = "RQ, 2 workers"
    per_second = 150
    workers = 2


if __name__ == "__main__":
    # The jobs are imported above: a worker that imports them in each fork would be ten times slower.
    Worker([Queue(connection=(connection := Redis.from_url(sys.argv[1])))], connection=connection).work(
        logging_level="WARNING"
    )
