"""What there is to choose from: how many jobs of each state, which classes, which queues. The same for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, func, select

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
            calls=list(islice(_calls(connection), _MOST_NAMES)),
            queues=_queues(connection),
        )


def _count(connection: Connection, state: AppState, name: str) -> Count:
    found = Walk(connection, JobQuery(state=name), state.redactor, datetime.now(UTC)).count()
    assert found is not None
    return found


def _calls(connection: Connection) -> Iterator[str]:
    """The classes that jobs have, each before its methods: one look into the index for each name."""
    # What somebody wrote there that is no text comes after all texts.
    for class_name in _names(connection, jobs.c.class_name):
        yield formats.line(class_name)
        for method_name in _names(connection, jobs.c.method_name, jobs.c.class_name == class_name):
            yield f"{formats.line(class_name)}{SEPARATOR}{formats.line(method_name)}"


def _names(connection: Connection, column: Column[Any], *conditions: ColumnElement[bool]) -> Iterator[str]:
    first = select(func.min(column)).where(*conditions)
    name = connection.scalar(first)
    while isinstance(name, str):
        yield name
        name = connection.scalar(first.where(column > name))


def _queues(connection: Connection) -> list[str]:
    newest = select(jobs.c.queue).order_by(jobs.c.id.desc()).limit(_NEWEST).subquery()
    used = connection.scalars(select(newest.c.queue).distinct().limit(_MOST_NAMES))
    return sorted({formats.line(name) for name in (*used, *(row.queue for row in queues_paused(connection)))})
