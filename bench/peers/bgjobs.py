"""bgjobs itself: a process a job, and processes that are used again."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from bench.driver import Driver


class ProcessPerJob(Driver):
    name = "bgjobs, a process a job"
    note = "SQLite, full sync; state, attempt and logs of every job recorded; default settings"
    per_second = 800
    processes = 4
    jobs_per_process = 1

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        os.environ.update(
            FLASK_BGJOBS_APP="bench.application:create_app",
            FLASK_BGJOBS_PROCESSES=str(self.processes),
            FLASK_BGJOBS_JOBS_PER_PROCESS=str(self.jobs_per_process),
            FLASK_BGJOBS_AUTOSTART="false",
        )

    def setup(self) -> None:
        from bench.application import Bench, create_app
        from bgjobs import run_background_job, run_background_jobs
        from bgjobs.app_state import app_state

        # How long a terminal takes is not ours to measure. The log files are written.
        logging.getLogger("bgjobs").setLevel(logging.WARNING)
        self._job_class = Bench
        self._dispatch, self._dispatch_many = run_background_job, run_background_jobs
        self.app = create_app()
        self.app.app_context().push()
        self.state = app_state()

    def start(self) -> None:
        from bgjobs.supervisor.config import SupervisorConfig
        from bgjobs.supervisor.launcher import launch_supervisor

        launch_supervisor(SupervisorConfig.of(self.state))

    def dispatch(self, job: str, number: int) -> None:
        self._dispatch(self._job_class, job, {"number": number})

    def dispatch_many(self, job: str, numbers: Sequence[int]) -> None:
        self._dispatch_many([(self._job_class, job, {"number": number}) for number in numbers])

    def settled(self) -> bool:
        from bgjobs import lookups

        with self.state.store.database.reading() as connection:
            return not lookups.running(connection) and not lookups.has_pending(connection)

    def in_thread(self) -> contextlib.AbstractContextManager[object]:
        return self.app.app_context()

    def teardown(self) -> None:
        from bgjobs.supervisor.control import stop

        stop(self.state)
        self.state.store.database.dispose()


class ReusedProcesses(ProcessPerJob):
    name = "bgjobs, reused processes"
    note = "the same with JOBS_PER_PROCESS = 1,000,000 and PROCESSES = 2"
    per_second = 1500
    processes = 2
    jobs_per_process = 1_000_000


class _OnPostgreSQL(ProcessPerJob):
    """The same with its tables on a server."""

    def setup(self) -> None:
        # Only here: SQLite is measured where there is no driver for a server, too.
        from bench.postgres_db import OwnDatabase

        self._database = OwnDatabase()
        os.environ["FLASK_SQLALCHEMY_DATABASE_URI"] = self._database.url.replace("://", "+psycopg://", 1)
        super().setup()
        self.state.store.database.migrate()

    def teardown(self) -> None:
        super().teardown()
        self._database.drop()


class ProcessPerJobOnPostgreSQL(_OnPostgreSQL):
    name = "bgjobs on PostgreSQL, a process a job"
    note = "the same on PostgreSQL, full sync"


class ReusedProcessesOnPostgreSQL(_OnPostgreSQL, ReusedProcesses):
    name = "bgjobs on PostgreSQL, reused processes"
    note = "the same with JOBS_PER_PROCESS = 1,000,000 and PROCESSES = 2"
