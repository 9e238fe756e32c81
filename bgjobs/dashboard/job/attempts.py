"""One attempt of a job as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from bgjobs.dashboard import formats
from bgjobs.dashboard.formats import Badge, Moment
from bgjobs.dashboard.job.transcript import Transcript, tail
from bgjobs.redaction import Redactor, escape_lines, shorten
from bgjobs.runner.lost import describe_exit
from bgjobs.state_folder import StateFolder

_TRACEBACK_LENGTH = 64 * 1024
ERROR_LENGTH = 4 * 1024


@dataclass(frozen=True, slots=True)
class Attempt:
    number: int
    badge: Badge
    is_running: bool
    started: Moment | None
    duration: str
    usage: str
    ending: str
    error: str
    traceback: str | None
    output: Transcript | None


def attempt_of(
    row: Row[Any], folder: StateFolder, redactor: Redactor, secrets: set[str], now: datetime
) -> Attempt:
    number = row.number if isinstance(row.number, int) else 0
    error = ": ".join(
        text for text in (formats.line(row.exception_type), formats.line(row.exception_message)) if text
    )
    usage = [
        f"pid {row.pid}" if isinstance(row.pid, int) else "",
        f"{formats.size(row.peak_rss)} peak" if formats.number(row.peak_rss) else "",
        f"{formats.duration(row.cpu_seconds)} CPU" if formats.number(row.cpu_seconds) else "",
    ]
    return Attempt(
        number=number,
        badge=formats.outcome_badge(row.outcome),
        is_running=row.ended_at is None,
        started=formats.moment(row.started_at, now),
        duration=formats.between(row.started_at, row.ended_at),
        usage=" · ".join(filter(None, usage)),
        ending=_ending(row, error),
        error=shorten(redactor.text(error, secrets), ERROR_LENGTH),
        traceback=redactor.text(block, secrets) if (block := _block(row.traceback)) else None,
        output=tail(folder.output_file(row.background_job_id, number), redactor, secrets),
    )


def _ending(row: Row[Any], error: str) -> str:
    """How the process ended, where that is worth a word and the error does not say it already."""
    if row.ended_at is None or not isinstance(row.exit_status, int) or row.exit_status == 0:
        return ""
    words = describe_exit(row.exit_status)
    return "" if words in error else f"{words[0].upper()}{words[1:]}."


def _block(text: Any) -> str | None:
    return shorten(escape_lines(str(text)).strip("\n"), _TRACEBACK_LENGTH) if text else None
