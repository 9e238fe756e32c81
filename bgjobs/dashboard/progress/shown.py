"""What the reader of a host's page sees of one job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import url_for

from bgjobs.app_state import AppState
from bgjobs.dashboard import formats
from bgjobs.dashboard.progress.ticket import Ticket, token_of
from bgjobs.dashboard.progress.words import progress_of
from bgjobs.exceptions import BackendUnavailable, JobNotFound
from bgjobs.lookups import job_row
from bgjobs.models import COMPLETED, ENDED, PENDING, STATUSES, Unreadable
from bgjobs.redaction import shorten

_ERROR_LENGTH = 2 * 1024
_RESULT_LENGTH = 64 * 1024


@dataclass(frozen=True, slots=True)
class Shown:
    """One job in a page of the host. ``status`` is also "gone", "old" (the page) or "unknown" (at the moment)."""

    status: str
    state: str
    is_over: bool
    address: str = ""
    job_id: int | None = None
    percent: int | None = None
    numbers: str = ""
    message: str = ""
    error: str = ""
    result: str = ""
    value: Any = None  # the result itself, for programs

    def to_json(self) -> dict[str, Any]:
        """For programs; ``words`` is for progress.js, which only puts them in their places."""
        return {
            "id": self.job_id,
            "status": self.status,
            "is_over": self.is_over,
            "percent": self.percent,
            "message": self.message or None,
            "error": self.error or None,
            "result": self.value,
            "words": {
                "state": self.state,
                "numbers": self.numbers,
                "message": self.message,
                "error": self.error,
                "result": self.result,
            },
        }


GONE = Shown("gone", "No longer known", is_over=True)
OLD = Shown("old", "Reload the page to see how it went", is_over=True)


def shown(state: AppState, ticket: Ticket, *, may_be_uncommitted: bool = False) -> Shown:
    """What ``ticket`` lets its holder see. Never raises for the sake of the job or the database: this stands
    in somebody else's page. ``may_be_uncommitted`` is for a job that was dispatched a moment ago."""
    address = url_for("bgjobs.progress", token=token_of(state, ticket))
    try:
        with state.store.database.reading() as connection:
            job = job_row(connection, ticket.job_id)
    except JobNotFound:
        return Shown(PENDING, "Pending", False, address, ticket.job_id) if may_be_uncommitted else GONE
    except BackendUnavailable:
        return Shown("unknown", "Not known at the moment", is_over=False, address=address, job_id=ticket.job_id)
    return _of_row(state, job, ticket, address, datetime.now(UTC))


def _of_row(state: AppState, job: Any, ticket: Ticket, address: str, now: datetime) -> Shown:
    redactor = state.redactor
    secrets = redactor.secrets(job.parameters)
    badge = formats.job_badge(job.status, retry_count=job.retry_count, scheduled_at=job.scheduled_at, now=now)
    progress = progress_of(job, redactor, secrets)
    error = result = ""
    value = None
    if ticket.with_result and job.status in ENDED:
        error = shorten(redactor.text(formats.line(job.error_message), secrets), _ERROR_LENGTH)
        result = redactor.text(formats.pretty(job.result, redactor, _RESULT_LENGTH) or "", secrets)
        value = None if isinstance(job.result, Unreadable) else redactor.parameters(job.result)
    return Shown(
        status=job.status if job.status in STATUSES else "unknown",
        state=badge.word,
        is_over=job.status in ENDED,
        address=address,
        job_id=job.id,
        percent=100 if job.status == COMPLETED else progress.percent if progress else None,
        numbers=progress.words if progress else "",
        message=progress.message if progress else "",
        error=error,
        result=result,
        value=value,
    )
