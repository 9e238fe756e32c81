"""The overview as the template shows it: plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bgjobs.dashboard import formats
from bgjobs.dashboard.axes import time_ticks, to_the_minute, with_its_day
from bgjobs.dashboard.causes import NO_EXCEPTION
from bgjobs.dashboard.charts import Chart, Series, bars, lines
from bgjobs.dashboard.formats import Moment
from bgjobs.dashboard.glance import Glance
from bgjobs.dashboard.jobs.query import SEPARATOR
from bgjobs.dashboard.overview.failures import Failures, grouped
from bgjobs.dashboard.overview.numbers import Numbers, slowest, together
from bgjobs.dashboard.overview.queries import FAILED_READ, Found
from bgjobs.dashboard.overview.range import Range
from bgjobs.dashboard.overview.strip import Stat, iso, strip
from bgjobs.metrics import RETRIED, minute_of, percentile
from bgjobs.models import CANCELLED, COMPLETED, FAILED

_GROUPS_SHOWN = 4
_CLASSES_SHOWN = 6
_CHART_HEIGHT = 120


@dataclass(frozen=True, slots=True)
class Trouble:
    """Jobs that failed alike."""

    name: str
    exception: str
    number: int
    address: Mapping[str, str]  # the query string of the list of these jobs
    first: Moment | None
    last: Moment | None
    newest_id: int


@dataclass(frozen=True, slots=True)
class Runner:
    """A job that runs."""

    id: int
    name: str
    since: str
    elapsed: str
    percent: int | None


@dataclass(frozen=True, slots=True)
class Slow:
    """A class that takes long."""

    name: str
    full_name: str
    number: str
    median: str
    slow: str


@dataclass(frozen=True, slots=True)
class Overview:
    range: Range
    stats: tuple[Stat, ...]
    ended: Chart
    ended_words: str
    durations: Chart
    durations_words: str
    troubles: tuple[Trouble, ...]
    more_troubles: int
    failed_read: str  # where there may be older ones that were not looked at
    running: tuple[Runner, ...]
    more_running: bool
    slow: tuple[Slow, ...]


def overview(seen: Glance, looked_at: Range, found: Found, running: Sequence[Any]) -> Overview:
    points, total = found.points, together(found.points)
    groups = grouped(found.failed)
    start = datetime.fromtimestamp(looked_at.first_minute(minute_of(seen.now)) * 60, UTC)
    end = start + timedelta(minutes=looked_at.minutes)
    moments = [start + timedelta(minutes=looked_at.step * place) for place in range(looked_at.points)]
    label = with_its_day if looked_at.step >= 60 else to_the_minute
    labels = [label(moment) for moment in moments]
    times = time_ticks(start, end)
    durations = _durations(points)
    return Overview(
        range=looked_at,
        stats=strip(seen, looked_at, found, points, total),
        ended=bars(labels, _endings(points), height=_CHART_HEIGHT, times=times),
        ended_words=_endings_in_words(total, looked_at),
        durations=lines(
            labels,
            durations,
            height=_CHART_HEIGHT,
            times=times,
            words=formats.duration,
            least_top=0.004,
            unit=_unit(durations),
        ),
        durations_words=f"In the {looked_at.words}: {_percentiles(total)}.",
        troubles=tuple(
            Trouble(
                name=formats.short_name(group.class_name, group.method_name),
                exception=group.exception or "No exception",
                number=group.number,
                address=_address_of(group),
                first=formats.moment(group.first, seen.now),
                last=formats.moment(group.last, seen.now),
                newest_id=group.newest_id,
            )
            for group in groups[:_GROUPS_SHOWN]
        ),
        more_troubles=max(0, len(groups) - _GROUPS_SHOWN),
        failed_read=f"{FAILED_READ:,}" if len(found.failed) >= FAILED_READ else "",
        running=tuple(_runner(row, seen.now) for row in running),
        more_running=seen.pulse.running.number > len(running),
        slow=tuple(
            Slow(
                name=formats.short_name(one.class_name, one.method_name),
                full_name=f"{formats.line(one.class_name)}::{formats.line(one.method_name)}",
                number=f"{one.number:,}",
                median=formats.duration(one.median),
                slow=formats.duration(one.slow),
            )
            for one in slowest(total.classes, _CLASSES_SHOWN)
        ),
    )


def _address_of(group: Failures) -> dict[str, str]:
    job_class = f"{formats.line(group.class_name)}{SEPARATOR}{formats.line(group.method_name)}"
    return {"state": FAILED, "class": job_class, "error": group.exception or NO_EXCEPTION}


def _endings(points: Sequence[Numbers]) -> list[Series]:
    kinds = ((COMPLETED, "Completed"), (FAILED, "Failed"), (RETRIED, "Retried"), (CANCELLED, "Cancelled"))
    return [Series(name, kind, [point.kinds[kind] for point in points]) for kind, name in kinds]


def _endings_in_words(total: Numbers, looked_at: Range) -> str:
    numbers = ", ".join(f"{total.kinds[kind]:,} {kind}" for kind in (COMPLETED, FAILED, RETRIED, CANCELLED))
    return f"In the {looked_at.words}: {numbers}."


_PERCENTILES = (("p50", 50, "first"), ("p95", 95, "second"), ("p99", 99, "third"))


def _durations(points: Sequence[Numbers]) -> list[Series]:
    return [
        Series(name, style, [percentile(point.ran, percent) for point in points])
        for name, percent, style in _PERCENTILES
    ]


def _percentiles(total: Numbers) -> str:
    return ", ".join(
        f"{name} {formats.duration(percentile(total.ran, percent))}" for name, percent, _ in _PERCENTILES
    )


def _unit(durations: Sequence[Series]) -> float:
    """In what the axis has round steps: a second, half a minute, a minute or an hour."""
    longest = max((value or 0.0 for one in durations for value in one.values), default=0.0)
    return next((unit for unit, end in ((1.0, 60), (30.0, 300), (60.0, 3600)) if longest < end), 3600.0)


def _runner(row: Any, now: datetime) -> Runner:
    started = row.started_at
    done, total = formats.number(row.progress_done), formats.number(row.progress_total)
    return Runner(
        id=row.id,
        name=formats.short_name(row.class_name, row.method_name),
        since="" if started is None else iso(started),
        elapsed=formats.DASH if started is None else formats.elapsed((now - started).total_seconds()),
        percent=None if done is None or not total or total < 0 else round(100 * min(max(done / total, 0.0), 1.0)),
    )
