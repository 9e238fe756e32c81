"""The questions of the list of jobs. Each page is one short read transaction, ended before anything is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from bgjobs.bulk import BULK_LIMIT
from bgjobs.dashboard.counts import Count
from bgjobs.dashboard.jobs.matching import Matches, Walk
from bgjobs.dashboard.jobs.query import NEWEST, JobQuery
from bgjobs.lookups import jobs
from bgjobs.redaction import Redactor

ARRIVALS_COUNTED = 99
_WALKED_FOR_ALL = 50_000  # jobs that are looked at for an action on all that match


@dataclass(frozen=True, slots=True)
class JobsPage:
    """The rows of one page, and where they stand among the others."""

    query: JobQuery
    rows: Sequence[Row[Any]]
    has_previous: bool
    has_next: bool
    beyond: int | None  # where the walk goes on
    is_cut: bool  # the walk was given up before the page was full
    arrived: Count  # since the reader began to read
    total: Count | None


def jobs_page(connection: Connection, query: JobQuery, redactor: Redactor, now: datetime) -> JobsPage:
    """The jobs that ``query`` asks for."""
    is_held = query.top and query.is_first_page and query.sort == NEWEST
    query = query if is_held else replace(query, top=None)
    walk = Walk(connection, query, redactor, now)
    if query.is_first_page and walk.looks_at_each:
        # Counted on the same way, as far as an action on all of them would go.
        found = walk.take(query.per_page if walk.reads_texts else BULK_LIMIT)
        is_known = found.reached is not None or not found.more or not walk.reads_texts
        total = Count(len(found.ids), found.more) if is_known else None
        found = _first(found, query.per_page)
    else:
        found = walk.take(query.per_page)
        total = Walk(connection, query.at(), redactor, now).count()
    if query.goes_back and not found.more:
        return jobs_page(connection, query.at(), redactor, now)  # less than a page lies before: the first one
    return JobsPage(
        query=query,
        rows=_rows(connection, found.ids[::-1] if query.goes_back else found.ids),
        has_previous=not query.is_first_page,
        has_next=query.goes_back or found.more,
        beyond=found.reached or (found.ids[-1] if found.ids else None),
        is_cut=found.reached is not None,
        arrived=_arrived(connection, query, redactor, now) if is_held else Count(0),
        total=total,
    )


def all_matching(
    connection: Connection, query: JobQuery, redactor: Redactor, now: datetime, most: int
) -> list[int]:
    """The first ``most`` jobs that match now, wherever the reader is."""
    return Walk(connection, query.at(), redactor, now, _WALKED_FOR_ALL).take(most).ids


def _first(found: Matches, most: int) -> Matches:
    return found if len(found.ids) <= most else Matches(found.ids[:most], True)


def _arrived(connection: Connection, query: JobQuery, redactor: Redactor, now: datetime) -> Count:
    newer = Walk(connection, query.at(after=query.top), redactor, now).take(ARRIVALS_COUNTED)
    return Count(len(newer.ids), newer.more)


def _rows(connection: Connection, ids: list[int]) -> list[Row[Any]]:
    by_id = {row.id: row for row in connection.execute(select(jobs).where(jobs.c.id.in_(ids)))}
    return [by_id[number] for number in ids if number in by_id]
