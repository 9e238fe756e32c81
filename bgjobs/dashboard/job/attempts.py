"""One attempt of a job as the page shows it."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from bgjobs.dashboard import formats
from bgjobs.dashboard.formats import Badge, Moment
from bgjobs.dashboard.job.frames import Frames, frames_of
from bgjobs.dashboard.job.transcript import Source, Transcript, tail, where_the_end_begins
from bgjobs.models import RUNNING
from bgjobs.printed import Printed
from bgjobs.redaction import Redactor, escape_lines, shorten
from bgjobs.runner.lost import describe_exit

_TRACEBACK_LENGTH = 64 * 1024
ERROR_LENGTH = 4 * 1024
_HOST_LENGTH = 80

_PUT_BACK = (
    "It was given to a process that ended, or had to, before the job was done. The job was put back in the line, "
    "and this counts as no retry."
)


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
    traceback: Frames | None
    output: Transcript | None
    follows_later: bool  # the script of the page brings the output, or what comes of it


def attempt_of(
    row: Row[Any],
    job: Row[Any],
    printed: Printed,
    redactor: Redactor,
    secrets: set[str],
    now: datetime,
    *,
    with_output: bool,
) -> Attempt:
    number = row.number if isinstance(row.number, int) else 0
    error = ": ".join(
        text for text in (formats.line(row.exception_type), formats.line(row.exception_message)) if text
    )
    usage = [
        f"on {shorten(formats.line(row.host), _HOST_LENGTH)}" if row.host else "",
        f"pid {row.pid}" if isinstance(row.pid, int) else "",
        f"{formats.size(row.peak_rss)} peak" if formats.number(row.peak_rss) else "",
        f"{formats.duration(row.cpu_seconds)} CPU" if formats.number(row.cpu_seconds) else "",
    ]
    goes_on = row.ended_at is None and job.status == RUNNING
    source = Source(printed, redactor, secrets)
    output = tail(source, goes_on=goes_on) if with_output else _place_of(source)
    return Attempt(
        number=number,
        badge=formats.outcome_badge(row.outcome),
        is_running=row.ended_at is None,
        started=formats.moment(row.started_at, now),
        duration=formats.between(row.started_at, row.ended_at),
        usage=" · ".join(filter(None, usage)),
        ending=ending_of(row.outcome, row.exit_status, error),
        error=shorten(redactor.text(error, secrets), ERROR_LENGTH),
        traceback=_traceback(row.traceback, redactor, secrets),
        output=output or (Transcript("", 0, 0, 0) if goes_on else None),
        follows_later=goes_on or not with_output,
    )


def ending_of(outcome: Any, exit_status: Any, error: str) -> str:
    """How the process ended, where that is worth a word and the error does not say it already."""
    if outcome == "released":
        return _PUT_BACK
    if outcome is None or not isinstance(exit_status, int) or exit_status == 0:
        return ""
    words = describe_exit(exit_status)
    if words in error:
        return ""
    # Where somebody of ours looked, the error tells more; where we killed it ourselves, memory is no suspect.
    guess = " – often out of memory" if exit_status == -signal.SIGKILL and outcome in ("lost", "failed") else ""
    return f"{words[0].upper()}{words[1:]}{guess}."


def _place_of(source: Source) -> Transcript | None:
    """An output that the page has already, or asks for by itself."""
    place = where_the_end_begins(source)
    return Transcript("", place, place, place) if source.size else None


def _traceback(text: Any, redactor: Redactor, secrets: set[str]) -> Frames | None:
    if not text:
        return None
    block = shorten(escape_lines(str(text)).strip("\n"), _TRACEBACK_LENGTH)
    return frames_of(redactor.text(block, secrets))
