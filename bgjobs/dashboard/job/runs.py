"""The runs of the same method before this one, as small bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bgjobs.dashboard import formats
from bgjobs.dashboard.formats import Badge

HEIGHT = 36
_LEAST = 3


@dataclass(frozen=True, slots=True)
class Run:
    """One job: how long it took as the height of a bar, and how it ended."""

    id: int
    badge: Badge
    look: str
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Runs:
    bars: tuple[Run, ...]  # the oldest first
    longest: str


_LOOKS = ("completed", "failed", "cancelled", "running", "pending")


def runs_of(rows: Sequence[Any], now: datetime) -> Runs | None:
    """The rows, the newest first, as bars; None where this was the first run."""
    if not rows:
        return None
    seconds = [seconds_of(row) for row in rows]
    longest = max((value for value in seconds if value is not None), default=0.0)
    bars = [_bar(row, value, longest, now) for row, value in zip(rows, seconds, strict=True)]
    return Runs(tuple(reversed(bars)), formats.duration(longest) if any(seconds) else "")


def seconds_of(row: Any) -> float | None:
    """How long the last attempt of a job took; None where it did not end, or nobody can tell."""
    if not isinstance(row.started_at, datetime) or not isinstance(row.completed_at, datetime):
        return None
    return max(0.0, (row.completed_at - row.started_at).total_seconds())


def _bar(row: Any, seconds: float | None, longest: float, now: datetime) -> Run:
    badge = formats.job_badge(row.status, retry_count=row.retry_count, scheduled_at=row.scheduled_at, now=now)
    height = max(_LEAST, HEIGHT * seconds / longest) if seconds and longest else _LEAST
    took = f", took {formats.duration(seconds)}" if seconds is not None else ""
    look = row.status if row.status in _LOOKS else "pending"
    return Run(row.id, badge, look, round(height, 1), f"#{row.id} {badge.word}{took}")
