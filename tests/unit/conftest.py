"""Applications for the unit tests: a database file of their own each, and no process is ever started."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from databases import DATABASES, empty
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from hypothesis import HealthCheck, settings
from sqlalchemy import Row, event
from sqlalchemy.engine import URL

from bgjobs import BackgroundJobs, JobHandle, run_background_job
from bgjobs.app_state import AppState, app_state
from bgjobs.custom_logger import CustomLogger
from bgjobs.database import Database
from bgjobs.lookups import job_row
from bgjobs.redaction import Redactor
from bgjobs.store import Store

settings.register_profile(
    "bgjobs", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
settings.load_profile("bgjobs")


@dataclass
class Site:
    """An application with bgjobs, and what a test wants to see of it."""

    app: Flask
    db: SQLAlchemy
    jobs: BackgroundJobs
    folder: Path

    @property
    def state(self) -> AppState:
        return app_state(self.app)

    def dispatch(self, *args: Any, **options: Any) -> JobHandle:
        with self.app.app_context():
            return run_background_job(*args, **options).refresh()

    def row(self, job_id: int) -> Row[Any]:
        with self.state.store.database.reading() as connection:
            return job_row(connection, job_id)

    def story(self, job_id: int) -> list[tuple[str, str]]:
        """Type and message of the job's records in ``job_logs``."""
        return self.query(f"SELECT type, message FROM job_logs WHERE background_job_id = {job_id} ORDER BY id")

    def attempts(self, job_id: int) -> list[dict[str, Any]]:
        with closing(self.stranger()) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute("SELECT * FROM job_attempts WHERE background_job_id = ?", [job_id])
            return [dict(row) for row in found]

    def count(self) -> int:
        return self.query("SELECT count(*) FROM background_jobs")[0][0]

    def stranger(self) -> sqlite3.Connection:
        """A connection of somebody who knows nothing of bgjobs."""
        return sqlite3.connect(self.folder / "app.db", isolation_level=None)

    def query(self, sql: str, *values: Any) -> list[Any]:
        """Ask, or change, behind the back of bgjobs."""
        with closing(self.stranger()) as connection:
            return connection.execute(sql, values).fetchall()

    def log(self, name: str = "background_jobs.log") -> str:
        path = self.folder / "logs" / name
        return path.read_text("utf-8") if path.exists() else ""

    def errors_log(self) -> str:
        return self.log("background_jobs_errors.log")


@pytest.fixture(params=DATABASES)
def store(
    request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path, servers: Callable[[str, str], URL]
) -> Iterator[Store]:
    """A store without a job, on each database."""
    url: str | URL = f"sqlite:///{tmp_path / 'jobs.db'}"
    if request.param == "sqlite":
        shutil.copy(empty_database, tmp_path / "jobs.db")
    else:
        url = servers(request.param, "store")
    database = Database(url)
    yield Store(database, CustomLogger(str(tmp_path / "logs")), Redactor())
    if request.param != "sqlite":
        empty(database)
    database.dispose()


MakeSite = Callable[..., Site]


@pytest.fixture(scope="module")
def make_site(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[MakeSite]:
    """A function that makes applications. Jobs run inline unless BGJOBS_BACKEND says "local"; then they stay
    pending, because nothing is started. Keyword arguments are settings without their prefix. In a ``fresh``
    one nothing was ever dispatched."""
    made: list[Site] = []

    def make(*approved: Any, runner_class: Any = None, fresh: bool = False, **given: Any) -> Site:
        folder = tmp_path_factory.mktemp("site")
        if not fresh:
            shutil.copy(empty_database, folder / "app.db")
        app = Flask("site_of_a_test", instance_path=str(folder))
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder / 'app.db'}"
        options = {"backend": "inline", "autostart": False, "approved_classes": list(approved), **given}
        app.config.update({f"BGJOBS_{key.upper()}": value for key, value in options.items()})
        db = SQLAlchemy(app)
        site = Site(app, db, BackgroundJobs(app, db, runner=runner_class), folder)
        # Nobody pulls the plug of a test, and waiting for the disk is most of what these tests would do.
        if "database_uri" not in given:
            event.listen(site.state.store.database.engine, "connect", _without_waiting_for_the_disk)
        made.append(site)
        return site

    yield make
    for site in made:
        site.state.store.database.dispose()
        with site.app.app_context():
            site.db.engine.dispose()


def _without_waiting_for_the_disk(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF").close()
