"""Which index knows the jobs of a query in the order of their numbers, and what of the query it knows."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from bgjobs.dashboard.counts import COUNTED, counted
from bgjobs.dashboard.jobs.query import RETRYING, SCHEDULED, JobQuery
from bgjobs.lookups import jobs
from bgjobs.models import PENDING

_MOST_METHODS = 20  # of a class: each is a walk of its own


class Way(NamedTuple):
    """Conditions that an index answers, each tuple of them a walk of its own; and what of the query they cover."""

    parts: list[tuple[ColumnElement[bool], ...]]
    covers: frozenset[str] = frozenset()


def shortest_way(connection: Connection, query: JobQuery) -> Way:
    """By the number of the job, by its status or by its class, whichever leads over fewer jobs; or over all."""
    if query.job_number:
        return Way([(jobs.c.id == query.job_number,)])
    ways = []
    if query.state:
        ways.append(Way([(jobs.c.status == status_of(query.state),)], frozenset({"status"})))
    if query.class_name:
        methods = [query.method_name] if query.method_name else _methods_of(connection, query.class_name)
        if methods is not None:
            of_class = jobs.c.class_name == query.class_name
            parts = [(of_class, jobs.c.method_name == method) for method in methods]
            ways.append(Way([*parts] or [(of_class,)], frozenset({"class", "method"})))
    if len(ways) < 2:
        return ways[0] if ways else Way([()])
    return min(ways, key=lambda way: _length_of(connection, way))


def status_of(state: str) -> str:
    return PENDING if state in (RETRYING, SCHEDULED) else state


def _length_of(connection: Connection, way: Way) -> int:
    found = [counted(connection, select(jobs.c.id).where(*part)).number for part in way.parts]
    return min(sum(found), COUNTED)


def _methods_of(connection: Connection, class_name: str) -> list[str] | None:
    """The methods of a class that jobs have, by one look into the index each; None where there are many."""
    next_one = select(func.min(jobs.c.method_name)).where(jobs.c.class_name == class_name)
    found: list[str] = []
    method = connection.scalar(next_one)
    while isinstance(method, str):
        found.append(method)
        if len(found) > _MOST_METHODS:
            return None
        method = connection.scalar(next_one.where(jobs.c.method_name > method))
    return found
