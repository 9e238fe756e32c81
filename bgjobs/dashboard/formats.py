"""How values are shown: badges, times, sizes, JSON. Pure functions: values in, words out, the clock an
argument. Whatever a row holds, each of them answers with something that can be read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import humanize

from bgjobs.models import CANCELLED, COMPLETED, FAILED, FAILURE, INFO, PENDING, RUNNING, SUCCESS, Unreadable
from bgjobs.redaction import Redactor, escape, escape_lines, shorten

DASH = "–"
_EXCERPT = 280
_BEFORE_MATCH = 80
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Badge(NamedTuple):
    """A state as icon, word and colour, in this order of importance. The classes are written out, because
    the stylesheet is built from what stands in the sources."""

    word: str
    icon: str
    classes: str


_GREEN = "bg-green-100 text-green-800"
_RED = "bg-red-100 text-red-800"
_BLUE = "bg-blue-100 text-blue-800"
_AMBER = "bg-amber-100 text-amber-800"
_GRAY = "bg-gray-100 text-gray-700"

_LOG_BADGES = {
    SUCCESS: Badge("Success", "check", _GREEN),
    FAILURE: Badge("Failure", "cross", _RED),
    INFO: Badge("Info", "info", _BLUE),
}
_JOB_BADGES = {
    PENDING: Badge("Pending", "clock", _GRAY),
    RUNNING: Badge("Running", "play", _BLUE),
    COMPLETED: Badge("Completed", "check", _GREEN),
    FAILED: Badge("Failed", "cross", _RED),
    CANCELLED: Badge("Cancelled", "stop", _GRAY),
}
_OUTCOME_BADGES = {
    "completed": _JOB_BADGES[COMPLETED],
    "failed": _JOB_BADGES[FAILED],
    "cancelled": _JOB_BADGES[CANCELLED],
    "timed_out": Badge("Timed out", "clock", _RED),
    "lost": Badge("Process lost", "cross", _RED),
    "released": Badge("Put back", "clock", _GRAY),
}


def log_badge(kind: Any) -> Badge:
    return _badge(_LOG_BADGES, kind)


def job_badge(status: Any, *, retry_count: Any = 0, scheduled_at: datetime | None = None, now: datetime) -> Badge:
    """The state of a job. "Scheduled" and "Retrying" are how a pending row is shown."""
    if status == PENDING and isinstance(retry_count, int) and retry_count > 0:
        return Badge("Retrying", "retry", _AMBER)
    if status == PENDING and scheduled_at is not None and (scheduled_at - now).total_seconds() > 1:
        return Badge("Scheduled", "clock", _GRAY)
    return _badge(_JOB_BADGES, status)


def outcome_badge(outcome: Any) -> Badge:
    """How an attempt went; None while it goes on."""
    return _JOB_BADGES[RUNNING] if outcome is None else _badge(_OUTCOME_BADGES, outcome)


def _badge(known: Mapping[str, Badge], value: Any) -> Badge:
    unknown = Badge(line(value)[:20] or "Unknown", "info", _GRAY)
    return known.get(value, unknown) if isinstance(value, str) else unknown


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in three forms: for people at a glance, for people who look closer, for machines."""

    ago: str
    exact: str
    iso: str


def moment(value: Any, now: datetime) -> Moment | None:
    if not isinstance(value, datetime):
        return None
    utc = value.astimezone(UTC)
    exact = f"{utc.day} {_MONTHS[utc.month - 1]} {utc.year}, {utc:%H:%M:%S} UTC"
    return Moment(relative((now - utc).total_seconds()), exact, f"{utc:%Y-%m-%dT%H:%M:%SZ}")


def relative(seconds: float) -> str:
    """How long ago, in the words that bgjobs.js keeps current. Below a minute in steps of five seconds:
    ten rows that count each second are a restless page."""
    distance = abs(int(seconds))
    if distance < 5:
        return "just now"
    size, unit = next((item for item in _UNITS if distance >= item[0]), _UNITS[-1])
    number = distance // size if size > 1 else distance // 5 * 5
    words = f"{number:,} {unit}{'' if number == 1 else 's'}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def number(value: Any) -> float | None:
    """A number from a row that somebody may have edited; None for anything else."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def duration(value: Any) -> str:
    """``840 ms``, ``3.4 s``, ``2 m 05 s``, ``1 h 12 m``."""
    seconds = number(value)
    if seconds is None:
        return DASH
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02} m"


def between(start: Any, end: Any) -> str:
    """The duration from one time to another, a dash where one is missing."""
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return DASH
    return duration((end - start).total_seconds())


def size(value: Any) -> str:
    """``49.3 MiB``."""
    return DASH if number(value) is None else humanize.naturalsize(value, binary=True)


def line(value: Any) -> str:
    """Any value as one printable line, as long as a record of ours may be."""
    return "" if value is None else escape(shorten(str(value)))


def is_data(message: str) -> bool:
    """Whether a message is the JSON of a row, as the last record of a dispatch is."""
    return message.startswith('{"') and message.endswith("}")


def short_name(class_name: Any, method_name: Any) -> str:
    """``ExampleJob::run`` of ``bgjobs.example_job.ExampleJob`` and ``run``."""
    return f"{line(class_name).rpartition('.')[2]}::{line(method_name)}"


def pretty(value: Any, redactor: Redactor, limit: int) -> str | None:
    """A JSON value for reading, secrets masked; None where there is nothing."""
    text = _json(value, redactor, indent=2)
    return None if text is None else shorten(escape_lines(text), limit)


def compact(value: Any, redactor: Redactor) -> str:
    """The same on one line; empty where there is nothing."""
    return escape(_json(value, redactor, separators=(",", ":")) or "")


def _json(value: Any, redactor: Redactor, **form: Any) -> str | None:
    if value is None or value in ({}, []):
        return None
    if isinstance(value, Unreadable):
        return f"This is not JSON ({len(value):,} characters): somebody changed the row by hand."
    try:
        return json.dumps(redactor.parameters(value), ensure_ascii=False, default=str, **form)
    except (RecursionError, ValueError):
        return "This is nested too deeply to be shown."


class Part(NamedTuple):
    """A piece of a text, and whether it is what was searched for."""

    text: str
    is_match: bool


def parts(text: str, term: str) -> list[Part]:
    """``text`` cut where ``term`` begins and ends in it, whatever the case."""
    found: list[Part] = []
    end = 0
    for start, stop in _places(text, term):
        found += [Part(text[end:start], False), Part(text[start:stop], True)]
        end = stop
    return [part for part in (*found, Part(text[end:], False)) if part.text]


def excerpt(text: str, term: str) -> str:
    """A piece of a long text: from its beginning, or around the first place where ``term`` stands."""
    if len(text) <= _EXCERPT:
        return text
    first = next(_places(text, term), (0, 0))[0]
    start = max(0, first - _BEFORE_MATCH) if first + len(term) > _EXCERPT else 0
    end = start + _EXCERPT
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


def _places(text: str, term: str) -> Iterator[tuple[int, int]]:
    wanted = term.casefold()
    if not wanted:
        return
    folded = [character.casefold() for character in text]
    # Folding can lengthen a text ("ß" becomes "ss"), so each folded character remembers where it comes from.
    origin = [index for index, piece in enumerate(folded) for _ in piece]
    whole = "".join(folded)
    start = whole.find(wanted)
    while start != -1:
        end = start + len(wanted)
        yield origin[start], origin[end - 1] + 1
        start = whole.find(wanted, end)


def retries(retry_count: Any, max_retries: Any) -> str:
    """``1 of 3``."""
    return f"{line(retry_count)} of {line(max_retries)}"
