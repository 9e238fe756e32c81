"""What there is to choose from: how many jobs of each state, which classes, which queues. The same for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, select, tuple_

from bgjobs.app_state import AppState
from bgjobs.dashboard import formats
from bgjobs.dashboard.counts import Count
from bgjobs.dashboard.jobs.matching import Walk
from bgjobs.dashboard.jobs.query import RETRYING, SCHEDULED, SEPARATOR, JobQuery
from bgjobs.dashboard.shared import Shared
from bgjobs.lookups import jobs, queues_paused
from bgjobs.models import CANCELLED, COMPLETED, FAILED

_MOST_NAMES = 200
_NEWEST = 2_000  # jobs whose queues are offered
_COUNTED_HERE = (RETRYING, SCHEDULED, COMPLETED, FAILED, CANCELLED)  # the others are counted at each look

shared: Shared[Choices] = Shared(seconds=10.0)


@dataclass(frozen=True, slots=True)
class Choices:
    """``counts`` by state; ``calls`` are classes and methods as the filter takes them."""

    counts: dict[str, Count]
    calls: list[str]
    queues: list[str]


def choices(state: AppState) -> Choices:
    """At most ten seconds old."""
    return shared.get(state.folder.path, lambda: _find(state))


def _find(state: AppState) -> Choices:
    with state.store.database.reading() as connection:
        return Choices(
            counts={name: _count(connection, state, name) for name in _COUNTED_HERE},
            calls=list(_with_classes(_calls(connection))),
            queues=_queues(connection),
        )


def _count(connection: Connection, state: AppState, name: str) -> Count:
    found = Walk(connection, JobQuery(state=name), state.redactor, datetime.now(UTC)).count()
    assert found is not None
    return found


def _calls(connection: Connection) -> Iterator[tuple[str, str]]:
    """Classes and methods that jobs have: one look into the index for each."""
    first = select(jobs.c.class_name, jobs.c.method_name).order_by(jobs.c.class_name, jobs.c.method_name).limit(1)
    row = connection.execute(first).first()
    for _ in range(_MOST_NAMES):
        # What somebody wrote there that is no text comes after all texts.
        if row is None or not isinstance(row.class_name, str) or not isinstance(row.method_name, str):
            return
        yield row.class_name, row.method_name
        beyond = tuple_(jobs.c.class_name, jobs.c.method_name) > tuple_(row.class_name, row.method_name)
        row = connection.execute(first.where(beyond)).first()


def _with_classes(calls: Iterator[tuple[str, str]]) -> Iterator[str]:
    """Each class before its methods."""
    last = None
    for class_name, method_name in calls:
        if class_name != last:
            yield formats.line(class_name)
        yield f"{formats.line(class_name)}{SEPARATOR}{formats.line(method_name)}"
        last = class_name


def _queues(connection: Connection) -> list[str]:
    newest = select(jobs.c.queue).order_by(jobs.c.id.desc()).limit(_NEWEST).subquery()
    used = connection.scalars(select(newest.c.queue).distinct().limit(_MOST_NAMES))
    return sorted({formats.line(name) for name in (*used, *(row.queue for row in queues_paused(connection)))})
