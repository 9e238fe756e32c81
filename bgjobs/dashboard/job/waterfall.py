"""The way of a job as a bar: it waited, was attempted, waited for its retry, was attempted again.

Pure: rows and a moment in, places and words out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bgjobs.dashboard import formats
from bgjobs.dashboard.axes import Label, to_the_millisecond
from bgjobs.models import PENDING, RUNNING

WIDTH = 1000
LEAST_ATTEMPT, LEAST_WAIT = 20, 6  # so narrow that twenty attempts and the waits between them find room

LOOKS = {
    "wait": ("clock", "Waited"),
    "earlier": ("clock", "Not shown"),
    "pause": ("pause", "Paused"),
    "running": ("play", "Running"),
    "completed": ("check", "Completed"),
    "failed": ("cross", "Failed"),
    "timed_out": ("clock", "Timed out"),
    "lost": ("cross", "Process lost"),
    "cancelled": ("stop", "Cancelled"),
    "released": ("clock", "Put back"),
    "unknown": ("info", "Unknown"),
}
"""The icon and the word of each kind of step."""
_AFTER = {
    "failed": "Waited for the retry",
    "timed_out": "Waited for the retry",
    "lost": "Waited for the retry",
    "released": "Waited, put back",
    "cancelled": "Until it was retried",
    "completed": "Until it was retried",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of time. ``look`` is "wait", "pause", "earlier", "running" or the outcome of an attempt."""

    look: str
    words: str
    start: datetime
    end: datetime
    attempt: int | None = None
    is_open: bool = False  # it goes on
    note: str = ""

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Bar:
    """A step with its place in the drawing, and its words."""

    look: str
    words: str
    attempt: int | None
    note: str
    x: float
    width: float
    start: Label
    end: Label
    lasted: str
    is_open: bool
    since: str  # of one that goes on: bgjobs.js counts on from here

    @property
    def icon(self) -> str:
        return LOOKS[self.look][0]

    @property
    def outcome(self) -> str:
        return "" if self.attempt is None else LOOKS[self.look][1].lower()

    @property
    def title(self) -> str:
        return f"{self.words}: {self.lasted} from {self.start.text}"


@dataclass(frozen=True, slots=True)
class Waterfall:
    bars: Sequence[Bar]
    lasted: str
    is_to_scale: bool


def waterfall_of(job: Any, attempts: Sequence[Any], now: datetime) -> Waterfall | None:
    """The way of a job whose newest attempts these are, the newest first; None where no time can be read."""
    steps = steps_of(job, attempts, now)
    if not steps:
        return None
    least = [LEAST_WAIT if step.attempt is None else LEAST_ATTEMPT for step in steps]
    seconds = [step.seconds for step in steps]
    widths = spread(seconds, least, WIDTH)
    bars, x = [], 0.0
    for step, width in zip(steps, widths, strict=True):
        bars.append(_bar(step, x, width))
        x += width
    total = sum(seconds)
    return Waterfall(tuple(bars), formats.duration(total), widths == spread(seconds, [0] * len(steps), WIDTH))


def steps_of(job: Any, attempts: Sequence[Any], now: datetime) -> list[Step]:
    """What happened, the first first. Times that cannot be are moved to where they could: a row may be edited, and
    a clock set back."""
    shown = [row for row in reversed(attempts) if isinstance(row.started_at, datetime)]
    begin = job.created_at if isinstance(job.created_at, datetime) else shown[0].started_at if shown else None
    if begin is None:
        return []
    steps: list[Step] = []
    at, waiting = begin, "Waited"
    if shown and isinstance(shown[0].number, int) and shown[0].number > 1:
        first = max(at, shown[0].started_at)
        steps.append(Step("earlier", f"{shown[0].number - 1:,} earlier attempts", at, first))
        at = first
    for row in shown:
        start = max(at, row.started_at)
        if start > at:
            steps.append(Step("wait", waiting, at, start))
        steps += _attempt(job, row, start, now)
        at, waiting = steps[-1].end, _AFTER.get(str(row.outcome), "Waited for the next attempt")
    if job.status == PENDING and now > at:
        steps.append(
            Step("wait", "Waiting" if not shown else waiting.replace("Waited", "Waiting"), at, now, is_open=True)
        )
    return steps


def spread(parts: Sequence[float], least: Sequence[float], width: float) -> list[float]:
    """Divide ``width`` in proportion to ``parts``, but give each at least its ``least``.

    Who would get less gets that, and the others share what is left. Where there is no room for all, everything is
    narrower.
    """
    if sum(least) >= width:
        return [width * item / sum(least) for item in least]
    fixed: set[int] = set()
    while True:
        others = [index for index in range(len(parts)) if index not in fixed]
        free = width - sum(least[index] for index in fixed)
        total = sum(parts[index] for index in others)
        share = {index: free * parts[index] / total if total else free / len(others) for index in others}
        narrow = {index for index in others if share[index] < least[index]}
        if not narrow:
            return [share.get(index, least[index]) for index in range(len(parts))]
        fixed |= narrow


def _attempt(job: Any, row: Any, start: datetime, now: datetime) -> list[Step]:
    """One attempt; two steps where it is being held up."""
    is_running = row.ended_at is None and row.outcome is None and job.status == RUNNING
    end = row.ended_at if isinstance(row.ended_at, datetime) else now if is_running else start
    end = max(start, end)
    number = row.number if isinstance(row.number, int) else 0
    words, is_last = f"Attempt {number:,}", row.number == job.attempt
    paused = formats.number(job.paused_seconds) if is_last else None
    note = f"paused {formats.duration(paused)} of it" if paused else ""
    look = "running" if is_running else str(row.outcome)
    if is_running and isinstance(job.paused_at, datetime):
        middle = min(max(start, job.paused_at), end)
        return [
            Step(look, words, start, middle, number, note=note),
            Step("pause", "Paused", middle, end, is_open=True),
        ]
    return [Step(look, words, start, end, number, is_running, note)]


def _bar(step: Step, x: float, width: float) -> Bar:
    return Bar(
        look=step.look if step.look in LOOKS else "unknown",
        words=step.words,
        attempt=step.attempt,
        note=step.note,
        x=round(x, 1),
        width=round(width, 1),
        start=to_the_millisecond(step.start),
        end=Label("now") if step.is_open else to_the_millisecond(step.end),
        lasted=formats.duration(step.seconds),
        is_open=step.is_open,
        since=f"{step.start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )
