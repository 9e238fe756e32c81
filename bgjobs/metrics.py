"""What ended in each minute: the numbers that charts are drawn from, so that no page ever walks over the jobs.

Counted by class, method and kind, in buckets of seconds. A bucket is 1.4 times as wide as the one before it, so a
duration that is read from it is at most a fifth away from the true one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Table, TextClause, text

from bgjobs.models import CANCELLED, COMPLETED, FAILED, PENDING, JobMetric
from bgjobs.prepared import Prepared

metrics = cast(Table, JobMetric.__table__)

RETRIED, WAIT = "retried", "wait"
ENDINGS = (COMPLETED, FAILED, RETRIED, CANCELLED)
"""How an attempt can end. "failed" is for good; after "retried" the job is tried again."""

MINUTE, QUARTER, HOUR = SPANS = (1, 15, 60)
"""Minutes that a row stands for. Counted by the minute; the supervisor puts together what is longer ago
(supervisor/history.py)."""

_SHORTEST = 0.001
_FACTOR = 1.4
_LAST_BUCKET = 70  # some 170 days


class Ended(NamedTuple):
    """An attempt that ended: how, and the seconds that it waited and that it ran."""

    class_name: str
    method_name: str
    kind: str
    waited: float
    ran: float


def kind_of(status: str, outcome: str) -> str | None:
    """The kind of an attempt after which its job has this status. None where it does not count: it was put back,
    because the supervisor stopped."""
    if status == PENDING:
        return None if outcome == "released" else RETRIED
    return status


def seconds_between(start: datetime | None, end: datetime | None) -> float:
    """Never below zero, though somebody set the clock back; 0 where a time cannot be read."""
    return 0.0 if start is None or end is None else max(0.0, (end - start).total_seconds())


def bucket_of(seconds: float) -> int:
    """The bucket of a duration. 0 is for less than a millisecond, and for what is no duration."""
    if not seconds >= _SHORTEST:
        return 0
    if math.isinf(seconds):
        return _LAST_BUCKET
    return min(1 + int(math.log(seconds / _SHORTEST, _FACTOR)), _LAST_BUCKET)


def seconds_of(bucket: int) -> float:
    """The duration in the middle of a bucket."""
    if bucket <= 0:
        return 0.0
    return float(_SHORTEST * _FACTOR ** (min(bucket, _LAST_BUCKET) - 0.5))


def percentile(histogram: Mapping[int, int], percent: float) -> float | None:
    """The duration below which ``percent`` of those in ``histogram`` (numbers by bucket) lie; None where there are
    none."""
    total = sum(histogram.values())
    if total <= 0:
        return None
    left = max(1, math.ceil(total * percent / 100))
    for bucket in sorted(histogram):
        left -= histogram[bucket]
        if left <= 0:
            return seconds_of(bucket)
    return seconds_of(max(histogram))


def minute_of(moment: datetime) -> int:
    """Minutes since 1970, UTC."""
    return int(moment.timestamp() // 60)


def count(connection: Connection, ended: Iterable[Ended], now: datetime) -> None:
    """Add attempts to the numbers of this minute."""
    minute = minute_of(now)
    rows: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    for attempt in ended:
        for kind, seconds in ((attempt.kind, attempt.ran), (WAIT, attempt.waited)):
            key = attempt.class_name, attempt.method_name, kind, bucket_of(seconds)
            row = rows.get(key)
            if row is None:
                class_name, method_name, kind, bucket = key
                rows[key] = {
                    "minute": minute,
                    "class_name": class_name,
                    "method_name": method_name,
                    "kind": kind,
                    "bucket": bucket,
                    "number": 1,
                    "seconds": seconds,
                }
            else:
                row["number"] += 1
                row["seconds"] += seconds
    if rows:
        # In order: two supervisors that add to the same rows would else wait for each other.
        in_order = [rows[key] for key in sorted(rows)]
        _adding_one(connection.dialect.name).execute(connection, in_order)


def adding(dialect: str, rows: str) -> TextClause:
    """The statement that adds ``rows``, a VALUES or a SELECT, to the numbers that are there.

    Written out, because SQLAlchemy has this clause for each database in a module of its own.
    """
    others = _ADD_ON_MARIADB if dialect in ("mysql", "mariadb") else _ADD_TO_OTHERS
    return text(
        "INSERT INTO bgjobs_metrics (span, minute, class_name, method_name, kind, bucket, number, seconds) "
        f"{rows} {others}"
    )


_ADD_TO_OTHERS = (
    "ON CONFLICT (span, minute, class_name, method_name, kind, bucket) DO UPDATE "
    "SET number = bgjobs_metrics.number + excluded.number, seconds = bgjobs_metrics.seconds + excluded.seconds"
)
_ADD_ON_MARIADB = (
    "ON DUPLICATE KEY UPDATE number = bgjobs_metrics.number + VALUES(number), "
    "seconds = bgjobs_metrics.seconds + VALUES(seconds)"
)


@cache
def _adding_one(dialect: str) -> Prepared:
    values = f"VALUES ({MINUTE}, :minute, :class_name, :method_name, :kind, :bucket, :number, :seconds)"
    return Prepared(adding(dialect, values))
