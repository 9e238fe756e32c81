"""Loads the application in a process of ours, and looks whether it can be forked from there."""

from __future__ import annotations

import os
import sys
import threading

from flask import Flask
from flask.cli import NoAppException, ScriptInfo

from bgjobs.app_location import AppLocation, Expected
from bgjobs.app_state import AppState, app_state
from bgjobs.exceptions import ConfigurationError


def load_app(location: AppLocation, expected: Expected | None = None) -> AppState:
    """Load the application at ``location`` and return its state.

    Raises :class:`ConfigurationError` when no candidate leads to an application with bgjobs, or to
    another one than ``expected``. Whatever the application itself raises while it loads comes through.
    """
    os.environ["FLASK_RUN_FROM_CLI"] = "true"  # app.run() at the end of a script does nothing then
    os.chdir(location.directory)
    sys.path[:] = location.import_path
    reasons = []
    for candidate in location.candidates:
        try:
            return _accepted(ScriptInfo(app_import_path=candidate).load_app(), location, expected)
        except (NoAppException, ConfigurationError) as error:
            reasons.append(f"{candidate}: {error}")
    if not reasons:
        raise ConfigurationError(
            "bgjobs does not know how to load the application in another process. "
            'Set BGJOBS_APP to what you would give to flask --app, for example "wsgi:app".',
            setting="BGJOBS_APP",
        )
    raise ConfigurationError(
        "The application cannot be loaded in another process. Set BGJOBS_APP to what you would give to "
        f"flask --app. Tried {'; '.join(reasons)}",
        setting="BGJOBS_APP",
    )


def _accepted(app: Flask, location: AppLocation, expected: Expected | None) -> AppState:
    state = app_state(app)
    state.location = location
    if expected is not None:
        found = Expected(app.name, state.database_url.render_as_string(hide_password=True))
        if found != expected:
            raise ConfigurationError(
                f"it leads to the application {found.name!r} with the database {found.database}, but the jobs "
                f"were dispatched by {expected.name!r} with {expected.database}"
            )
    return state


def release_connections(state: AppState) -> None:
    """Close what the application opened while it loaded: no database connection may cross a fork."""
    state.store.database.dispose()
    if state.db is not None:
        with state.app.app_context():
            for engine in state.db.engines.values():
                engine.dispose()


def threads_besides_main() -> list[str]:
    """The threads that would be missing after a fork: Python's by name, others by their number."""
    named = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    try:
        native = len(os.listdir("/proc/self/task")) - 1 - len(named)
    except FileNotFoundError:
        native = 0
    return named + [f"{native} native"] * (native > 0)


def watched_files(directory: str) -> dict[str, int]:
    """The application's own loaded source files with their modification times, in nanoseconds.

    Those of installed packages are left out: nobody edits them while the application runs.
    """
    files = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and file.endswith(".py") and not _is_installed(file):
            try:
                files[file] = os.stat(file).st_mtime_ns
            except OSError:
                continue
    return files


def _is_installed(file: str) -> bool:
    return (
        "site-packages" in file
        or "dist-packages" in file
        or file.startswith((os.path.dirname(os.__file__), _OURS))
    )


_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
