"""Round numbers and round times for the axes of a chart. Pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bgjobs.dashboard.formats import MONTHS, exact

_CLEAR = 6.0  # percent at both ends where no label has room
_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)


@dataclass(frozen=True, slots=True)
class Label:
    """What a point is called. Of a time the words are in UTC; ``iso`` is the time, and ``form`` how it is said in
    another zone, by a name of zones.js."""

    text: str
    iso: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Tick(Label):
    """A label of an axis: ``at`` is in percent from the left, or in units from the top. ``day`` is the width of a
    day in percent, of one that stands at midnight: another zone has that at another place."""

    at: float = 0.0
    day: float = 0.0


def to_the_minute(moment: datetime) -> Label:
    """``12:04``"""
    return _label(moment, f"{moment:%H:%M}", "minute")


def to_the_second(moment: datetime) -> Label:
    """``12:04:31``"""
    return _label(moment, f"{moment:%H:%M:%S}", "second")


def to_the_millisecond(moment: datetime) -> Label:
    """``24 Nov 2026, 12:04:31.120``"""
    milliseconds = f".{moment.microsecond // 1000:03}"
    text = f"{exact(moment).removesuffix(' UTC')}{milliseconds}"
    return Label(text, f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}{milliseconds}Z", "millisecond")


def with_its_day(moment: datetime) -> Label:
    """``24 Nov, 12:04``"""
    return _label(moment, f"{_day(moment)}, {moment:%H:%M}", "day")


def tick_at(at: float, label: Label) -> Tick:
    return Tick(label.text, label.iso, label.form, at)


def plain(number: float) -> str:
    """``1,250``, ``0.5``."""
    return f"{number:,.10g}"


def round_steps(most: float, *, count: int = 4, whole: bool = False) -> list[float]:
    """Round numbers from 0 up to ``most`` or a little more, about ``count`` steps apart; ``whole``: no halves."""
    if not math.isfinite(most) or most <= 0:
        most = 1.0
    rough = most / count
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999999)
    if whole:
        step = max(1.0, math.ceil(step))
    return [round(step * number, 12) for number in range(math.ceil(most / step - 1e-9) + 1)]


def time_ticks(start: datetime, end: datetime, *, count: int = 6) -> list[Tick]:
    """Round times between two moments, about ``count``, in UTC; with the day where they are a day apart."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    seconds = (end - start).total_seconds()
    if seconds <= 0:
        return []
    step = next((it for it in _MINUTES if it * 60 * count >= seconds), _MINUTES[-1])
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = math.ceil((start - midnight).total_seconds() / 60 / step)
    found = []
    for number in range(first, first + 2 * count):
        moment = midnight + timedelta(minutes=number * step)
        at = (moment - start).total_seconds() / seconds * 100
        if _CLEAR <= at <= 100 - _CLEAR:
            day = Tick(_day(moment), at=round(at, 2), day=round(86400 / seconds * 100, 2))
            found.append(day if step >= 1440 else tick_at(round(at, 2), to_the_minute(moment)))
    return found


def _label(moment: datetime, text: str, form: str) -> Label:
    return Label(text, f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", form)


def _day(moment: datetime) -> str:
    return f"{moment.day} {MONTHS[moment.month - 1]}"
