"""Which jobs can be acted on while they run: only a process that a supervisor started can be signalled, and an
inline job runs in one of the application's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from bgjobs.exceptions import InvalidTransition
from bgjobs.lookups import jobs
from bgjobs.models import RUNNING, SUPERVISED

IN_ITS_OWN_PROCESS = (jobs.c.status == RUNNING, jobs.c.backend.in_(SUPERVISED))


def not_running_so(row: Row[Any], action: str) -> InvalidTransition:
    """The refusal for a job that does not run, or not in such a process, or not in the way that it takes."""
    return InvalidTransition(row.id, _shown_status(row), action, ended_at=row.completed_at)


def _shown_status(row: Row[Any]) -> str:
    if row.status != RUNNING:
        return str(row.status)
    if row.backend not in SUPERVISED:
        return "running in a process of the application"
    return "paused" if row.paused_at is not None else "running"
