"""An application with a dashboard, as the tests handle it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, text, update
from werkzeug.test import TestResponse

from bgjobs import ExampleJob, run_background_job, run_background_jobs
from bgjobs.app_state import AppState, app_state
from bgjobs.log_search import index_batch
from bgjobs.lookups import attempts, job_row, jobs, logs

PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}


@dataclass
class Site:
    """An application with bgjobs, and what a test does to it or wants to see of it."""

    app: Flask

    @property
    def state(self) -> AppState:
        return app_state(self.app)

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def get(self, path: str, **options: Any) -> TestResponse:
        """What a browser gets, read to its end: a file that is served is closed then."""
        return self.client().get(path, buffered=True, **options)

    def dispatch(self, method: str = "run", parameters: Any = None, **options: Any) -> int:
        """Store a job of ExampleJob; with the inline backend, run it too."""
        with self.app.app_context():
            return run_background_job(ExampleJob, method, parameters, **options).id

    def row(self, job_id: int) -> Any:
        with self.state.store.database.reading() as connection:
            return job_row(connection, job_id)

    def change(self, job_id: int, **values: Any) -> None:
        """Edit the row of a job behind the back of everybody."""
        with self.state.store.database.writing() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))

    def dispatch_many(self, number: int, **values: Any) -> list[int]:
        """Store jobs of ExampleJob, and give their rows these values."""
        with self.app.app_context():
            call = (ExampleJob, "run", {})
            ids = [handle.id for handle in run_background_jobs([call] * number)]
        if values:
            with self.state.store.database.writing() as connection:
                connection.execute(update(jobs).where(jobs.c.id.in_(ids)).values(values))
        return ids

    def execute(self, sql: str, **values: Any) -> None:
        with self.state.store.database.writing() as connection:
            connection.execute(text(sql), values)

    def add_logs(self, job_id: int, messages: Sequence[str], kind: str = "info") -> list[int]:
        """Write logs of a job; their ids."""
        with self.state.store.database.writing() as connection:
            return [
                int(
                    connection.execute(
                        insert(logs).values(
                            background_job_id=job_id, type=kind, message=message, created_at=an_hour_ago()
                        )
                    ).inserted_primary_key[0]  # type: ignore[index]
                )
                for message in messages
            ]

    def add_attempt(self, job_id: int, number: int = 1, **values: Any) -> None:
        row = {"execution_token": "t", "started_at": an_hour_ago(), "ended_at": an_hour_ago(), "outcome": "failed"}
        with self.state.store.database.writing() as connection:
            connection.execute(
                insert(attempts).values({**row, "background_job_id": job_id, "number": number, **values})
            )

    def index_logs(self) -> None:
        """What the supervisor does when it is calm."""
        with self.state.store.database.writing() as connection:
            while index_batch(connection, 10_000):
                pass

    def messages(self, job_id: int) -> list[tuple[str, str]]:
        with self.state.store.database.reading() as connection:
            rows = connection.execute(
                logs.select().where(logs.c.background_job_id == job_id).order_by(logs.c.id)
            ).all()
        return [(row.type, row.message) for row in rows]


def an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)
