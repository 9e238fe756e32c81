"""What bgjobs knows of one application: made by ``init_app``, kept in ``app.extensions["bgjobs"]``.

Nothing is opened before it is used: ``init_app`` touches neither the database nor any process.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.engine import URL, make_url

from bgjobs.app_search import location_at_set_up
from bgjobs.approval import Approval
from bgjobs.custom_logger import CustomLogger
from bgjobs.database import PATIENCE_OF_CALLER, Database, same_database
from bgjobs.exceptions import ConfigurationError
from bgjobs.redaction import Redactor
from bgjobs.runner.custom_background_job_runner import CustomBackgroundJobRunner
from bgjobs.settings import Settings
from bgjobs.sqlite import is_memory
from bgjobs.state_folder import StateFolder
from bgjobs.store import Store


class Backend(Protocol):
    """What carries a committed job to where it runs. The row is the truth; a backend only hurries it on."""

    def prepare(self) -> None:
        """Refuse, before anything is written, what could not be carried."""

    def dispatched(self, job_ids: Sequence[int]) -> None:
        """These jobs were committed."""

    def wake(self) -> None:
        """Something changed that whoever runs the jobs should look at."""


class AppState:
    """The services of one application, each made at its first use."""

    backend: Backend

    def __init__(self, app: Flask, db: SQLAlchemy | None, settings: Settings, runner: Any) -> None:
        self.app = app
        self.db = db
        self.settings = settings
        self._runner = settings.runner or runner or CustomBackgroundJobRunner
        self.approval = Approval()
        self.after_fork: list[Callable[[], Any]] = []
        self.location = location_at_set_up(settings.app)

    @cached_property
    def runner_class(self) -> type[CustomBackgroundJobRunner]:
        """The runner. Raises :class:`ConfigurationError` when ``BGJOBS_RUNNER`` names none."""
        runner = self._runner
        if isinstance(runner, str):
            module_name, _, name = runner.rpartition(".")
            try:
                runner = getattr(importlib.import_module(module_name), name)
            except (ImportError, AttributeError, ValueError) as error:
                raise ConfigurationError(
                    f"BGJOBS_RUNNER: {runner} cannot be imported: {error}", setting="BGJOBS_RUNNER"
                ) from error
        if not (isinstance(runner, type) and issubclass(runner, CustomBackgroundJobRunner)):
            raise ConfigurationError(
                f"The runner must be a subclass of CustomBackgroundJobRunner, not {runner!r}.",
                setting="BGJOBS_RUNNER",
            )
        return runner

    @cached_property
    def database_url(self) -> URL:
        """Where the jobs are: ``BGJOBS_DATABASE_URI``, or else the application's own database."""
        if self.settings.database_uri is not None:
            return url_of(self.app, self.settings.database_uri)
        if self.db is None:
            raise ConfigurationError(
                "bgjobs has no database. Pass the SQLAlchemy object, BackgroundJobs(app, db), "
                "or set BGJOBS_DATABASE_URI.",
                setting="BGJOBS_DATABASE_URI",
            )
        with self.app.app_context():
            return self.db.engine.url

    @cached_property
    def shares_the_database(self) -> bool:
        """Whether the jobs are in the application's own database, so that one transaction can hold both."""
        if self.db is None:
            return False
        with self.app.app_context():
            return same_database(self.db.engine.url, self.database_url)

    @cached_property
    def folder(self) -> StateFolder:
        """The state folder, created where it is missing. Raises :class:`ConfigurationError`."""
        return StateFolder.of(str(self.settings.state_dir), self.database_url).prepare()

    @cached_property
    def redactor(self) -> Redactor:
        return Redactor(self.settings.redact)

    @cached_property
    def logger(self) -> CustomLogger:
        return CustomLogger(str(self.settings.log_dir))

    @cached_property
    def store(self) -> Store:
        return self.store_with()

    def store_with(self, *, patience: float = PATIENCE_OF_CALLER, pooled: bool = True) -> Store:
        """A store of its own: the supervisor is patient, a job process keeps no connection."""
        database = Database(self.database_url, patience=patience, pooled=pooled)
        return Store(database, self.logger, self.redactor)


def url_of(app: Flask, uri: str) -> URL:
    """The URL that is meant by a setting: a relative SQLite file counts from the instance folder."""
    url = make_url(uri)
    if url.get_backend_name() == "sqlite" and not is_memory(url) and "uri" not in url.query:
        return url.set(database=str(Path(app.instance_path, str(url.database))))
    return url


def app_state(app: Flask | None = None) -> AppState:
    """The state of ``app``, or of the current application.

    Outside an application context Flask's own error says so. Raises :class:`ConfigurationError` when the
    extension was not set up.
    """
    found = (app or current_app).extensions.get("bgjobs")
    if found is None:
        raise ConfigurationError("bgjobs is not set up on this application. Call jobs.init_app(app, db).")
    return found  # type: ignore[no-any-return]
