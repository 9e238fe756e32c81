"""Whether somebody runs the jobs, in one line; and what a person should know or do about it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from bgjobs.app_state import AppState
from bgjobs.custom_logger import console
from bgjobs.dashboard.counts import Count
from bgjobs.dashboard.pulse import Pulse
from bgjobs.exceptions import JobRunnerException
from bgjobs.lookups import next_due
from bgjobs.redaction import escape, escape_lines, mask_urls
from bgjobs.supervisor.elsewhere import at_work, supervisors_elsewhere
from bgjobs.supervisor.status import SupervisorStatus, supervisor_status

# A supervisor takes some tenths of a second to come up: no reason to worry anybody.
_WORRY_AFTER = 3.0
# One that dies at once must not be started again by every look of every reader.
_WAKE_INTERVAL = 10.0

_NOBODY = "No supervisor is running, so pending jobs wait."
_NOT_LOADED = (
    "Jobs wait, because the application could not be loaded in the background. "
    "They start by themselves once it can be."
)


@dataclass(frozen=True, slots=True)
class Notice:
    """What is wrong and what to do, in plain words. ``level`` is "warning" or "error"."""

    level: str
    text: str
    command: str = ""
    detail: str = ""
    is_absence: bool = False  # the page of a job that waits says so itself


@dataclass(frozen=True, slots=True)
class Health:
    """Who runs the jobs, how many there are, and what stands in their way."""

    words: str
    is_alive: bool
    running: Count
    pending: Count
    notices: tuple[Notice, ...] = ()


class Alarm:
    """Wakes whoever runs the jobs, where there is work and nobody is there."""

    def __init__(self) -> None:
        self._not_before: dict[str, float] = {}  # by state folder: a process may have several applications

    def ring(self, state: AppState) -> None:
        """Never raises: the page can be shown all the same, and it says that nobody is there."""
        now, folder = time.monotonic(), state.folder.path
        if not state.settings.autostart or now < self._not_before.get(folder, now):
            return
        self._not_before[folder] = now + _WAKE_INTERVAL
        try:
            state.backend.wake()
        except (JobRunnerException, OSError) as error:
            console.warning("The dashboard could not start a supervisor: %s", error)


def health(state: AppState, pulse: Pulse, alarm: Alarm, now: datetime) -> Health:
    """How it stands with the jobs of ``state``."""
    counts = pulse.running, pulse.pending
    if state.settings.backend == "inline":
        return Health("Jobs run in the process that dispatches them", True, *counts)
    supervisor = supervisor_status(state.folder)
    if supervisor is not None:
        return Health("Supervisor running", True, *counts, _complaints(supervisor))
    if pulse.pending.number or pulse.running.number:
        alarm.ring(state)
    hosts = _hosts_at_work(state)
    if hosts:
        return Health(
            f"Supervisor running on {hosts[0] if len(hosts) == 1 else f'{len(hosts)} hosts'}", True, *counts
        )
    words = "No supervisor; the next job starts one" if state.settings.autostart else "No supervisor"
    return Health(words, False, *counts, _absence(state, now) if pulse.pending.number else ())


def _hosts_at_work(state: AppState) -> list[str]:
    with state.store.database.reading() as connection:
        return [escape(status.host) for status in at_work(supervisors_elsewhere(connection))]


def _complaints(supervisor: SupervisorStatus) -> tuple[Notice, ...]:
    notices = []
    if supervisor.app_error:
        notices.append(Notice("error", _NOT_LOADED, detail=escape_lines(mask_urls(supervisor.app_error))))
    if supervisor.warning:
        notices.append(Notice("warning", escape(mask_urls(supervisor.warning))))
    return tuple(notices)


def _absence(state: AppState, now: datetime) -> tuple[Notice, ...]:
    if not state.settings.autostart:
        return (Notice("warning", f"{_NOBODY} Start one:", "flask bgjobs supervise", is_absence=True),)
    with state.store.database.reading() as connection:
        due = next_due(connection)
    if due is None or (now - due).total_seconds() < _WORRY_AFTER:
        return ()
    words = f"{_NOBODY} One is being started. If none stays, ask why:"
    return (Notice("warning", words, "flask bgjobs doctor", is_absence=True),)
