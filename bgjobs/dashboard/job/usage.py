"""What a job uses, or used: the drawings of its samples, and the processes that it has now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Row

from bgjobs.dashboard import formats
from bgjobs.dashboard.axes import Label, tick_at, to_the_second
from bgjobs.dashboard.charts import Chart, Series, Tick, lines
from bgjobs.dashboard.job.process_tree import ProcessTree, process_tree
from bgjobs.limits import limits_of_row
from bgjobs.models import RUNNING
from bgjobs.redaction import Redactor

SHOWN = 60
"""Points of a drawing. While a job runs they are sent every other second, with the table that says the same."""
_HEIGHT = 96
_WORTH_A_LINE = 4  # a limit so many times what is used would press the line of it to the ground


@dataclass(frozen=True, slots=True)
class Reading:
    """One look of the supervisor, as far as it can be read."""

    at: datetime
    cpu: float | None
    rss: float | None


@dataclass(frozen=True, slots=True)
class Usage:
    """``cpu_words`` and ``memory_words`` say the last value and the peak; ``last`` when somebody looked last."""

    is_live: bool
    attempt: int | None
    cpu: Chart
    memory: Chart
    cpu_words: str
    memory_words: str
    last: Label | None
    tree: ProcessTree | None


def usage_of(job: Row[Any], samples: Sequence[Row[Any]], redactor: Redactor, secrets: set[str]) -> Usage | None:
    """None where there is nothing to show: a job of less than a second is not looked at."""
    is_live = job.status == RUNNING
    attempt = job.attempt if is_live else samples[-1].attempt if samples else None
    found = readings([row for row in samples if row.attempt == attempt])
    if not found and not is_live:
        return None
    limit = (limits_of_row(job.limits) or {}).get("memory")
    tree = process_tree(job, redactor, secrets)
    return drawn(found, limit, is_live=is_live, attempt=attempt if isinstance(attempt, int) else None, tree=tree)


def readings(rows: Sequence[Row[Any]]) -> list[Reading]:
    """The samples in the order of time, without those that somebody made unreadable."""
    found = [
        Reading(row.at, formats.number(row.cpu), formats.number(row.rss))
        for row in rows
        if isinstance(row.at, datetime)
    ]
    return sorted(found, key=lambda reading: reading.at)


def drawn(
    found: Sequence[Reading],
    limit: int | None,
    *,
    is_live: bool,
    attempt: int | None = None,
    tree: ProcessTree | None = None,
) -> Usage:
    points = highest(found, SHOWN)
    labels = [to_the_second(point.at) for point in points]
    places = _places(points)
    peak = _peak([reading.rss for reading in found])
    memory = [Series("Memory", "first", [point.rss for point in points])]
    if limit is not None and limit <= _WORTH_A_LINE * (peak or 0):
        memory.append(Series("Limit", "fourth", [limit] * len(points)))
    return Usage(
        is_live=is_live,
        attempt=attempt,
        cpu=lines(
            labels,
            [Series("CPU", "second", [point.cpu for point in points])],
            places=places,
            height=_HEIGHT,
            times=_ends(points),
            words=_percent,
            least_top=100.0,
        ),
        memory=lines(
            labels,
            memory,
            places=places,
            height=_HEIGHT,
            times=_ends(points),
            words=_bytes,
            least_top=2.0**20,
            unit=_unit(peak or 0.0),
        ),
        cpu_words=_words([reading.cpu for reading in found], _percent, is_live),
        memory_words=_words([reading.rss for reading in found], formats.size, is_live)
        + (f" · limit {formats.size(limit)}" if limit is not None else ""),
        last=to_the_second(found[-1].at) if found else None,
        tree=tree,
    )


def highest(found: Sequence[Reading], most: int) -> list[Reading]:
    """At most so many readings; of those that fall together, the highest values, so that no peak is lost."""
    if len(found) <= most:
        return list(found)
    edges = [len(found) * number // most for number in range(most + 1)]
    groups = [found[start:end] for start, end in pairwise(edges)]
    return [
        Reading(group[-1].at, _peak([one.cpu for one in group]), _peak([one.rss for one in group]))
        for group in groups
    ]


def _places(points: Sequence[Reading]) -> list[float]:
    """Where each stands, from 0 to 1."""
    if not points:
        return []
    first, last = points[0].at, points[-1].at
    seconds = (last - first).total_seconds()
    return [(point.at - first).total_seconds() / seconds if seconds else 0.5 for point in points]


def _ends(points: Sequence[Reading]) -> list[Tick]:
    """The times at both ends; there is room for them there."""
    if len(points) < 2:
        return [tick_at(50, to_the_second(points[0].at))] if points else []
    return [tick_at(9, to_the_second(points[0].at)), tick_at(91, to_the_second(points[-1].at))]


def _unit(most: float) -> float:
    """The largest binary unit of which there is at least one, so that the steps of the axis are round in it."""
    unit = 2.0**20
    while most >= 1024 * unit:
        unit *= 1024
    return unit


def _peak(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _percent(value: float) -> str:
    return f"{value:,.0f} %"


def _bytes(value: float) -> str:
    """Short, because it stands at an axis: ``300 MiB``."""
    return formats.size(value).replace(".0 ", " ")


def _words(values: Sequence[float | None], words: Any, is_live: bool) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "no look yet" if is_live else formats.DASH
    return f"{'now' if is_live else 'last'} {words(known[-1])} · peak {words(max(known))}"
