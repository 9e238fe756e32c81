"""Rows of metrics, put together: what happened at each point of a range, and in the whole of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bgjobs.metrics import ENDINGS, WAIT, percentile
from bgjobs.models import CANCELLED, COMPLETED, FAILED

THROUGHPUT_MINUTES = 5
_ENDS_A_JOB = (COMPLETED, FAILED, CANCELLED)  # a retry ends an attempt

ClassAndMethod = tuple[Any, Any]


@dataclass(slots=True)
class Numbers:
    """What ended at one point: numbers by kind, and by bucket how long it ran and how long it had waited."""

    kinds: Counter[str] = field(default_factory=Counter)
    ran: Counter[int] = field(default_factory=Counter)
    waited: Counter[int] = field(default_factory=Counter)
    classes: dict[ClassAndMethod, Counter[int]] = field(default_factory=dict)  # how long each ran

    def add(self, kind: Any, bucket: int, number: int) -> None:
        if kind == WAIT:
            self.waited[bucket] += number
        elif kind in ENDINGS:
            self.kinds[kind] += number
            self.ran[bucket] += number

    def of_class(self, name: ClassAndMethod) -> Counter[int]:
        ran = self.classes.get(name)
        if ran is None:
            ran = self.classes[name] = Counter()
        return ran

    @property
    def judged(self) -> int:
        """The jobs that succeeded or failed for good."""
        return self.kinds[COMPLETED] + self.kinds[FAILED]

    @property
    def failure_rate(self) -> float | None:
        return self.kinds[FAILED] / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class ClassNumbers:
    """How long the jobs of one class ran."""

    class_name: Any
    method_name: Any
    number: int
    median: float
    slow: float  # 95 of 100 were quicker


def by_point(rows: Iterable[Any], rows_of_classes: Iterable[Any], count: int) -> list[Numbers]:
    """The numbers of each of ``count`` points. ``rows`` are point, kind, bucket, number; those of classes have
    class and method in the place of the kind."""
    points = [Numbers() for _ in range(count)]
    for point, kind, bucket, number in rows:
        if (place := _whole(point)) < count:
            points[place].add(kind, _whole(bucket), _whole(number))
    for point, class_name, method_name, bucket, number in rows_of_classes:
        if (place := _whole(point)) < count:
            points[place].of_class((class_name, method_name))[_whole(bucket)] += _whole(number)
    return points


def together(points: Iterable[Numbers]) -> Numbers:
    """The numbers of all points as those of one."""
    total = Numbers()
    for point in points:
        total.kinds.update(point.kinds)
        total.ran.update(point.ran)
        total.waited.update(point.waited)
        for name, ran in point.classes.items():
            total.of_class(name).update(ran)
    return total


def slowest(classes: dict[ClassAndMethod, Counter[int]], most: int) -> list[ClassNumbers]:
    """The classes that take the longest, the slowest first."""
    found = [
        ClassNumbers(*name, ran.total(), percentile(ran, 50) or 0.0, percentile(ran, 95) or 0.0)
        for name, ran in classes.items()
    ]
    return sorted(found, key=lambda one: (-one.slow, -one.median, str(one.class_name)))[:most]


def ended_by_minute(rows: Iterable[Any], last: int, minutes: int) -> list[int]:
    """The jobs that ended in each of so many minutes up to ``last``."""
    found = [0] * minutes
    for row in rows:
        place = _whole(row.minute) - (last - minutes + 1)
        if row.kind in _ENDS_A_JOB and 0 <= place < minutes:
            found[place] += _whole(row.number)
    return found


def throughput(by_minute: Sequence[int], seconds_of_this_minute: float) -> float:
    """Jobs a minute, over the last whole minutes and the one that is under way."""
    minutes = min(THROUGHPUT_MINUTES, len(by_minute) - 1)
    return sum(by_minute[-minutes - 1 :]) / (minutes + seconds_of_this_minute / 60)


def _whole(value: Any) -> int:
    """A number from a row that somebody may have edited."""
    return int(value) if isinstance(value, int | float) and 0 <= value < 2**53 else 0
