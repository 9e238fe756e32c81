"""Is everything as it must be for jobs to run? One check after the other, each with its remedy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bgjobs import lookups
from bgjobs.app_search import seen_running
from bgjobs.app_state import AppState
from bgjobs.custom_logger import ERRORS_FILE, SUCCESS_FILE
from bgjobs.database import SCHEMA_REVISION
from bgjobs.exceptions import JobRunnerException
from bgjobs.processes.server import Server
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.elsewhere import at_work, supervisors_elsewhere
from bgjobs.supervisor.status import supervisor_status

_LOADS_WITHIN = 60.0
_WAITS_TOO_LONG = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    check: str
    ok: bool
    detail: str
    remedy: str = ""


def examine(state: AppState, *, quick: bool = False) -> Iterator[Check]:
    """Every check, in the order in which one would look; with ``quick``, those that take no time."""
    for name, look in _CHECKS.items():
        if quick and look is _application:
            continue
        try:
            yield Check(name, *look(state))
        except (JobRunnerException, OSError) as error:
            yield Check(name, False, str(error), "Do what the message says, then run this again.")


Finding = tuple[bool, str, str]


def _database(state: AppState) -> Finding:
    with state.store.database.writing():
        return True, f"{state.database_url.render_as_string()} answers and can be written", ""


def _schema(state: AppState) -> Finding:
    found = state.store.database.schema_revision()
    return found == SCHEMA_REVISION, f"the tables are at revision {found}", "Run: flask bgjobs upgrade"


def _log_files(state: AppState) -> Finding:
    folder = str(state.settings.log_dir)
    os.makedirs(folder, exist_ok=True)
    paths = [path for name in (SUCCESS_FILE, ERRORS_FILE) if os.path.lexists(path := os.path.join(folder, name))]
    unfit = [path for path in paths if os.path.islink(path) or not os.path.isfile(path) or not _writable(path)]
    if unfit or not _writable(folder):
        return (
            False,
            f"{', '.join(unfit) or folder} cannot be written",
            "Correct its owner, or set BGJOBS_LOG_DIR.",
        )
    return True, folder, ""


def _writable(path: str) -> bool:
    return os.access(path, os.W_OK)


def _state_folder(state: AppState) -> Finding:
    return True, state.folder.prepare().path, ""


def _approved_classes(state: AppState) -> Finding:
    names = sorted(state.approval.classes)
    return bool(names), ", ".join(names) or "no class is approved", "Approve one with @jobs.approve."


def _application(state: AppState) -> Finding:
    """Load it as a fork server would: in a process of its own, from where it was found."""
    state.location = seen_running(state.location, state.app)
    config = SupervisorConfig.of(state)
    server = Server.start(config.for_servers(state.database_url.render_as_string()), "fork")
    try:
        told = server.channel.wait_for_message(_LOADS_WITHIN)
    finally:
        server.retire()
        server.channel.close()
        server.child.wait()
    if told is None:
        return False, f"it did not load within {_LOADS_WITHIN:g} s", "Look what it waits for while it is imported."
    if "failed" in told:
        return False, told["reason"], "Correct the error; the jobs wait for it."
    threads = ", ".join(told["threads"])
    detail = f"loads from {' or '.join(state.location.candidates)}"
    if threads:
        detail += f"; it starts threads while it loads ({threads}), so jobs start as fresh interpreters"
    return True, detail, ""


def _supervisor(state: AppState) -> Finding:
    status = supervisor_status(state.folder)
    if status is None:
        with state.store.database.reading() as connection:
            hosts = sorted({item.host for item in at_work(supervisors_elsewhere(connection))})
        if hosts:
            return True, f"none is running here; there is one on {', '.join(hosts)}", ""
        if state.settings.autostart:
            return True, "none is running; it comes with the next job", ""
        with state.store.database.reading() as connection:
            idle = not lookups.has_pending(connection)
        return idle, "none is running, and BGJOBS_AUTOSTART is off", "Run: flask bgjobs supervise"
    if status.app_error is not None:
        return False, f"its fork server cannot load the application: {status.app_error}", "Correct the error."
    return True, f"pid {status.pid}{'; ' + status.warning if status.warning else ''}", ""


def _waiting_jobs(state: AppState) -> Finding:
    with state.store.database.reading() as connection:
        oldest = lookups.next_due(connection)
    late = oldest is not None and datetime.now(UTC) - oldest > _WAITS_TOO_LONG
    detail = f"the oldest has been due since {oldest}" if late else "no job waits longer than it should"
    return not late, detail, "Look at the checks above; all slots may be busy (BGJOBS_PROCESSES)."


_CHECKS: dict[str, Callable[[AppState], Finding]] = {
    "database": _database,
    "tables": _schema,
    "log files": _log_files,
    "state folder": _state_folder,
    "approved classes": _approved_classes,
    "application": _application,
    "supervisor": _supervisor,
    "waiting jobs": _waiting_jobs,
}
