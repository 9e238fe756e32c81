"""One application for each backend: the same jobs, the same settings, another carrier."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from databases import DATABASES
from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select

from bgjobs import BackgroundJobs, JobHandle, current_job, lookups, run_background_job
from bgjobs.app_state import AppState, app_state
from bgjobs.supervisor import control

# On each database: a job's own process opens connections of its own, an inline one uses those of the application.
# Celery on each broker and on each server.
BACKENDS = [
    *((backend, database) for backend in ("inline", "local") for database in DATABASES),
    ("celery", "postgresql", "redis"),
    ("celery", "mariadb", "rabbitmq"),
]
WORK = "backend_site.Work"

db = SQLAlchemy()
jobs = BackgroundJobs()


@jobs.approve
class Work:
    def double(self, number: int) -> int:
        return number * 2

    def total(self, first: int, *others: int) -> int:
        return first + sum(others)

    def greet(self, params: dict[str, Any]) -> str:
        return f"hello {params['to']}"

    def where(self) -> dict[str, Any]:
        return {"app": current_app.name, "job": current_job.id, "retry": current_job.retry_count}

    def set_result(self) -> None:
        current_job.result = [1, {"two": None}]

    def flaky(self, failures: int) -> int:
        if current_job.retry_count < failures:
            raise ConnectionError("the mail server hung up")
        return current_job.retry_count

    def fail(self) -> None:
        raise ValueError("no such user")

    def exit(self) -> None:
        sys.exit("enough")

    def talk(self) -> None:
        current_job.log("half way")
        current_job.progress(1, 4, "one of four")
        current_job.progress(2, 4, "two of four")

    def _private(self) -> None: ...


class NotApproved:
    def work(self) -> None: ...


def create_app(backend: str, folder: str, database: str, broker: str | None = None) -> Flask:
    app = Flask("shop", instance_path=folder)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=database,
        BGJOBS_BACKEND=backend,
        BGJOBS_BROKER_URL=broker,
        BGJOBS_APP=f"backend_site:create_app({backend!r}, {folder!r}, {database!r}, {broker!r})",
        BGJOBS_KILL_GRACE=2,
        BGJOBS_IDLE_TIMEOUT=30,
    )
    db.init_app(app)
    jobs.init_app(app, db)
    return app


class BackendSite:
    """An application with the backend that is tested."""

    def __init__(
        self, backend: str, folder: Path, database: str, broker: str | None, until: Callable[..., Any]
    ) -> None:
        self.backend = backend
        self.app = create_app(backend, str(folder), database, broker)
        self._worker = self._start_worker(folder) if backend == "celery" else None
        self._folder = folder
        self._until = until
        self._read = {"background_jobs.log": 0, "background_jobs_errors.log": 0}

    @property
    def state(self) -> AppState:
        return app_state(self.app)

    def dispatch(self, method: str, parameters: Any = None, **options: Any) -> JobHandle:
        """Dispatch a method of ``Work``."""
        with self.app.app_context():
            return run_background_job(Work, method, parameters, **options)

    def run(self, method: str, parameters: Any = None, **options: Any) -> JobHandle:
        """Dispatch a method of ``Work``, and wait until it has ended."""
        return self.dispatch(method, parameters, **options).wait(30)

    def row(self, job_id: int) -> Any:
        with self.state.store.database.reading() as connection:
            return lookups.job_row(connection, job_id)

    def attempts(self, job_id: int) -> list[Any]:
        of_job = select(lookups.attempts).where(lookups.attempts.c.background_job_id == job_id)
        with self.state.store.database.reading() as connection:
            return list(connection.execute(of_job.order_by(lookups.attempts.c.number)))

    def count(self) -> int:
        with self.state.store.database.reading() as connection:
            return sum(lookups.counts(connection).values())

    def new_lines(self, name: str, number: int) -> list[str]:
        """What came into a log file since it was last read: ``number`` lines, which follow their commit."""

        def lines() -> list[str] | None:
            path = self._folder / "logs" / name
            text = path.read_bytes()[self._read[name] :].decode() if path.exists() else ""
            return text.splitlines() if text.count("\n") >= number else None

        found: list[str] = self._until(lines, 10) if number else lines()
        self._read[name] += sum(len(f"{line}\n".encode()) for line in found)
        return found

    def forget_lines(self) -> None:
        for name in self._read:
            path = self._folder / "logs" / name
            self._read[name] = path.stat().st_size if path.exists() else 0

    def _start_worker(self, folder: Path) -> subprocess.Popen[bytes]:
        with open(folder / "worker.log", "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", self.app.config["BGJOBS_APP"], "bgjobs", "worker"],
                cwd=Path(__file__).parent,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=log,
                stderr=log,
            )

    def close(self) -> None:
        if self._worker is not None:
            self._worker.terminate()
            assert self._worker.wait(30) == 0, (self._folder / "worker.log").read_text()
        control.stop(self.state)
        self.state.store.database.dispose()
        with self.app.app_context():
            db.engine.dispose()
