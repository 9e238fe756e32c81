"""``BackgroundJobs``: what an application sets up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, TextIO, TypeVar, cast, overload

from flask import Flask
from flask.logging import has_level_handler, wsgi_errors_stream
from flask_sqlalchemy import SQLAlchemy

from bgjobs import guest
from bgjobs.app_state import AppState
from bgjobs.approval import Approvable
from bgjobs.backends.celery.backend import CeleryBackend
from bgjobs.backends.inline import InlineBackend
from bgjobs.backends.local import LocalBackend
from bgjobs.bulk import BulkAction
from bgjobs.cli import bgjobs_commands, run_job_command
from bgjobs.custom_logger import console
from bgjobs.dashboard.blueprint import make_blueprint
from bgjobs.exceptions import ConfigurationError
from bgjobs.role import role
from bgjobs.runner.custom_background_job_runner import CustomBackgroundJobRunner
from bgjobs.settings import Settings

JobClass = TypeVar("JobClass", bound=type)
Function = TypeVar("Function", bound=Callable[[], Any])


class BackgroundJobs:
    """The extension. ``BackgroundJobs(app, db)``, or ``init_app(app, db)`` in an application factory.

    ``runner`` is a subclass of :class:`CustomBackgroundJobRunner`; ``BGJOBS_RUNNER`` goes before it.
    One object may serve several applications.
    """

    def __init__(
        self,
        app: Flask | None = None,
        db: SQLAlchemy | None = None,
        *,
        runner: type[CustomBackgroundJobRunner] | None = None,
    ) -> None:
        self._runner = runner
        self._approved: dict[Approvable, Iterable[str] | None] = {}
        self._after_fork: list[Callable[[], Any]] = []
        self._states: list[AppState] = []
        if app is not None:
            self.init_app(app, db)

    def init_app(self, app: Flask, db: SQLAlchemy | None = None) -> None:
        """Set up ``app``: read the settings, register the dashboard and the commands.

        ``db`` may be left out where Flask-SQLAlchemy is set up on the application already. Touches neither
        the database nor any process. Raises :class:`~bgjobs.exceptions.ConfigurationError`.
        """
        if "bgjobs" in app.extensions:
            raise ConfigurationError("bgjobs is set up on this application already.")
        settings = Settings.from_config(app.config).with_folders_below(app.instance_path)
        state = AppState(app, db or app.extensions.get("sqlalchemy"), settings, self._runner)
        state.backend = _backend(state)
        state.approval.add_later(lambda: state.runner_class.approved_classes)
        state.approval.add(self._approved)
        state.approval.add(settings.approved_classes)
        state.approval.add_internal(BulkAction)
        state.after_fork = self._after_fork
        self._states.append(state)
        app.extensions["bgjobs"] = state
        app.register_blueprint(make_blueprint(settings.dashboard_url), url_prefix=settings.dashboard_url)
        app.cli.add_command(run_job_command)
        app.cli.add_command(bgjobs_commands)
        if role() == "web":  # where commands such as those of Flask-Migrate are run
            guest.protect_tables(app)
        _let_console_speak()

    @overload
    def approve(self, job_class: JobClass) -> JobClass: ...
    @overload
    def approve(self, *, methods: Iterable[str]) -> Callable[[JobClass], JobClass]: ...
    def approve(self, job_class: Any = None, *, methods: Iterable[str] | None = None) -> Any:
        """Approve a class as a job: ``@jobs.approve``, or ``@jobs.approve(methods=["send"])``."""
        if job_class is None:
            return lambda decorated: self._approve(decorated, methods)
        return self._approve(job_class, methods)

    def after_fork(self, function: Function) -> Function:
        """Register a function to be called in each job process before its job: start threads, tracing or
        error reporting there. A decorator."""
        self._after_fork.append(function)
        return function

    def _approve(self, job_class: JobClass, methods: Iterable[str] | None) -> JobClass:
        if not isinstance(job_class, type):
            raise ConfigurationError(
                f"{job_class!r} is not a class, so it cannot be approved. Write @jobs.approve on a class, or "
                '@jobs.approve(methods=["send"]) to narrow it.'
            )
        self._approved[job_class] = methods
        for state in self._states:
            state.approval.add({job_class: methods})
        return job_class


def _backend(state: AppState) -> Any:
    match state.settings.backend:
        case "local":
            return LocalBackend(state)
        case "inline":
            return InlineBackend(state)
        case _:
            return CeleryBackend(state)


def _let_console_speak() -> None:
    """Show our records where the application has not set up logging, as Flask does for its own."""
    if console.level == logging.NOTSET:
        console.setLevel(logging.INFO)
    if not has_level_handler(console):
        handler = logging.StreamHandler(cast(TextIO, wsgi_errors_stream))
        handler.setFormatter(logging.Formatter("%(message)s"))
        console.addHandler(handler)
