"""Why a job does not run: each condition of its start, one by one, and what to do about the first that fails.

The conditions of the claim are the very expressions that the claim's query is made of (``lookups.CLAIMABLE``), and
its place in the line is found by that query, so this cannot say anything else than what the supervisor does.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import humanize
from sqlalchemy import Connection, Row

from bgjobs import clock, lookups
from bgjobs.app_state import AppState
from bgjobs.database import SCHEMA_REVISION
from bgjobs.exceptions import JobRunnerException
from bgjobs.leases import machine_of
from bgjobs.models import CANCELLED, COMPLETED, FAILED, RUNNING
from bgjobs.output import read_tail
from bgjobs.processes.identity import host_name
from bgjobs.redaction import escape, mask_urls, shorten
from bgjobs.supervisor.elsewhere import Elsewhere, at_work, supervisors_elsewhere
from bgjobs.supervisor.status import SupervisorStatus, last_status, supervisor_status

AHEAD_MOST = 1000
"""More jobs before this one than that are not counted."""
NOTHING = "Nothing stands in its way: it starts within a second."
_SHOWN_RUNNING = 5
_SHOWN_SUPERVISORS = 3
_LOG_TAIL = 4096
_LONGEST = 500
_ENDED = {COMPLETED: "completed", FAILED: "failed", CANCELLED: "was cancelled"}


@dataclass(frozen=True, slots=True)
class Reason:
    """One condition of the start of a job, whether it holds, and what to do where it does not."""

    condition: str
    holds: bool
    words: str
    remedy: str = ""


def why(state: AppState, job_id: int, *, now: datetime | None = None) -> list[Reason]:
    """The conditions in the order in which one would look. Of a job that is not pending only the first is told.

    Raises :class:`JobNotFound`.
    """
    now = now or clock.now()
    with state.store.database.reading() as connection:
        row = lookups.job_row(connection, job_id)
        claimable = lookups.claimable(connection, job_id, now)
        others = supervisors_elsewhere(connection)
        if not claimable["pending"]:
            return [Reason("It is pending", False, *_not_pending(row, others, now))]
        here = supervisor_status(state.folder) if state.settings.backend != "inline" else None
        supervisors = [status for status in (here, *at_work(others)) if status is not None]
        return [
            Reason("It is pending", True, "It waits to be started."),
            _due(row, now, holds=claimable["due"]),
            _open_queue(connection, row, now, holds=claimable["open_queue"]),
            _tables(state),
            _supervisor(state, supervisors),
            _application(supervisors),
            _free_slot(connection, supervisors, now),
            _first_in_line(connection, row, now),
            _approved(state, row),
        ]


def obstacle(reasons: Sequence[Reason]) -> Reason | None:
    """What the job waits for; None where nothing stands in its way."""
    return next((reason for reason in reasons if not reason.holds), None)


def _not_pending(row: Row[Any], others: Sequence[Elsewhere], now: datetime) -> tuple[str, str]:
    if row.status == RUNNING:
        silent = [item for item in others if item.name == machine_of(row) and not item.is_heard_of]
        if silent:
            words = f"It was started on {_line(row.host)}, of which nobody has heard since its lease ended"
            return f"{words}, {-silent[0].left:.0f} s ago.", "Nothing has to be done: another host runs it again."
        where = "" if row.host in (None, host_name()) else f" on {_line(row.host)}"
        if row.paused_at is None:
            return f"It runs{where}, and was started {_ago(row.started_at, now)}.", ""
        return f"It was started {_ago(row.started_at, now)}, and is paused.", f"Run: flask bgjobs resume {row.id}"
    if row.status in _ENDED:
        remedy = "" if row.status == COMPLETED else f"To run it again: flask bgjobs retry {row.id}"
        return f"It {_ENDED[row.status]} {_ago(row.completed_at, now)}.", remedy
    return f"Its status is {_line(row.status)}, which is none: somebody edited the row.", "Delete the row."


def _due(row: Row[Any], now: datetime, *, holds: bool) -> Reason:
    condition = "Its time has come"
    if holds:
        return Reason(condition, True, f"It was due {_ago(row.scheduled_at, now)}.")
    if row.scheduled_at is None:
        return Reason(condition, False, "Its time cannot be read: somebody edited the row.", "Cancel it.")
    retrying = isinstance(row.retry_count, int) and row.retry_count > 0
    what = f"Retry {row.retry_count} is due" if retrying else "It is scheduled"
    return Reason(
        condition,
        False,
        f"{what} in {_span(row.scheduled_at, now)}, at {_exact(row.scheduled_at)}.",
        "Nothing has to be done: it starts by itself then.",
    )


def _open_queue(connection: Connection, row: Row[Any], now: datetime, *, holds: bool) -> Reason:
    condition, queue = "Its queue is open", _line(row.queue)
    if holds:
        return Reason(condition, True, f"Jobs of the queue {queue} are started.")
    paused = lookups.paused_queue(connection, row.queue)
    if paused is None:
        return Reason(condition, False, "It has no queue: somebody edited the row.", "Cancel it.")
    by = f" by {_line(paused.paused_by)}" if paused.paused_by else ""
    return Reason(
        condition,
        False,
        f"The queue {queue} was paused{by} {_ago(paused.paused_at, now)}.",
        f"Resume it: flask bgjobs resume-queue {shlex.quote(queue)}",
    )


def _tables(state: AppState) -> Reason:
    condition, found = "The tables are of this version", state.store.database.schema_revision()
    if found == SCHEMA_REVISION:
        return Reason(condition, True, f"They are at revision {_line(found)}.")
    words = f"They are at revision {_line(found)}, and this version needs {SCHEMA_REVISION}."
    newer = found is not None and str(found) > SCHEMA_REVISION
    return Reason(condition, False, words, "Update flask-bgjobs." if newer else "Run: flask bgjobs upgrade")


def _supervisor(state: AppState, supervisors: Sequence[SupervisorStatus]) -> Reason:
    condition = "A supervisor is at work"
    if supervisors:
        shown = [f"pid {item.pid} on {_line(item.host)}" for item in supervisors[:_SHOWN_SUPERVISORS]]
        more = len(supervisors) - len(shown)
        warning = next((f" It warns: {_line(item.warning)}" for item in supervisors if item.warning), "")
        words = f"{', '.join(shown)}{f' and {more} more' if more else ''}.{warning}"
        return Reason(condition, True, words[0].upper() + words[1:])
    if state.settings.backend == "inline":
        words = "Jobs run in the process that dispatches them, and that process is not running this one any more."
        return Reason(condition, False, words, "Let a supervisor do it: set BGJOBS_BACKEND to local.")
    last_words = _last_words(state)
    if not state.settings.autostart:
        words = f"No supervisor is running, and BGJOBS_AUTOSTART is off, so none starts by itself.{last_words}"
        return Reason(condition, False, words, "Start one: flask bgjobs supervise")
    words = "No supervisor is running; one starts with the next job, or when somebody looks at the dashboard."
    return Reason(condition, False, words + last_words, "If none stays, ask why: flask bgjobs doctor")


def _application(supervisors: Sequence[SupervisorStatus]) -> Reason:
    condition = "The application can be loaded"
    if not supervisors:
        return Reason(condition, True, "Nobody has tried yet.")
    if any(item.app_error is None for item in supervisors):
        return Reason(condition, True, "It loads in the background.")
    words = f"It could not be loaded in the background: {_line(supervisors[0].app_error)}"
    return Reason(condition, False, words, "Correct the error; the job starts by itself then.")


def _free_slot(connection: Connection, supervisors: Sequence[SupervisorStatus], now: datetime) -> Reason:
    condition = "A slot is free"
    if not supervisors:
        return Reason(condition, True, "Nobody runs jobs.")
    slots = sum(item.processes for item in supervisors)
    running = lookups.longest_running(connection, slots)
    if len(running) < slots:
        return Reason(condition, True, f"{len(running)} of {slots} are busy.")
    shown = [
        f"#{item.id} {_line(item.class_name).rpartition('.')[2]}::{_line(item.method_name)} "
        f"({_span(item.started_at, now)})"
        for item in running[:_SHOWN_RUNNING]
    ]
    more = f" and {len(running) - _SHOWN_RUNNING} more" if len(running) > _SHOWN_RUNNING else ""
    every = "The one slot is" if slots == 1 else f"All {slots} slots are"
    return Reason(
        condition,
        False,
        f"{every} busy, the longest with {', '.join(shown)}{more}.",
        "Wait for one of them, cancel one, or raise BGJOBS_PROCESSES.",
    )


def _first_in_line(connection: Connection, row: Row[Any], now: datetime) -> Reason:
    condition = "No other job is before it"
    if not isinstance(row.priority, int | float):
        words = "Its priority is no number, so it comes last, if at all: somebody edited the row."
        return Reason(condition, False, words, "Cancel it.")
    ahead = lookups.ids_due(connection, AHEAD_MOST + 1, now)
    number = ahead.index(row.id) if row.id in ahead else len(ahead)
    if not number:
        return Reason(condition, True, "No job that is due is before it.")
    shown = f"{number:,}" if number <= AHEAD_MOST else f"More than {AHEAD_MOST:,}"
    are = "job is" if number == 1 else "jobs are"
    return Reason(
        condition,
        False,
        f"{shown} {are} before it, more urgent or due for longer.",
        "Wait, give such jobs a smaller priority, or raise BGJOBS_PROCESSES.",
    )


def _approved(state: AppState, row: Row[Any]) -> Reason:
    """Last: nothing keeps such a job from being started, it only fails then."""
    condition = "Its class and method are approved"
    try:
        parameters = {} if row.parameters is None else row.parameters
        state.approval.call_of_row(row.class_name, row.method_name, parameters).check_binding()
    except JobRunnerException as refusal:
        return Reason(condition, False, f"As it is now, it would fail: {_line(refusal)}", "Do what that says.")
    return Reason(
        condition, True, f"{_line(row.class_name)}::{_line(row.method_name)} may run, and its parameters fit."
    )


def _last_words(state: AppState) -> str:
    """What the last supervisor said of itself, and else the last line of its log."""
    status = last_status(state.folder)
    said = (status.app_error or status.warning) if status is not None else None
    said = said or next(_log_backwards(state.folder.log), "")
    return f" The last one said: {_line(said)}" if said else ""


def _log_backwards(path: str) -> Iterator[str]:
    return (line for line in reversed(read_tail(path, _LOG_TAIL).splitlines()) if line.strip())


def _ago(then: Any, now: datetime) -> str:
    if not isinstance(then, datetime):
        return "at a time that cannot be read"
    return f"{_span(then, now)} ago"


def _span(then: Any, now: datetime) -> str:
    if not isinstance(then, datetime):
        return "?"
    return humanize.naturaldelta(abs(now - then))


def _exact(then: datetime) -> str:
    return f"{then:%Y-%m-%d %H:%M:%S} UTC"


def _line(value: Any) -> str:
    return escape(shorten(mask_urls(str(value)), _LONGEST))
