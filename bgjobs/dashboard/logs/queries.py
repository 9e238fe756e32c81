"""The questions of the log table. Each page is one short read transaction, ended before anything is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from bgjobs.dashboard.counts import Count, counted
from bgjobs.dashboard.logs.matching import matching
from bgjobs.dashboard.logs.query import LogQuery
from bgjobs.lookups import jobs, logs

ARRIVALS_COUNTED = 99


@dataclass(frozen=True, slots=True)
class LogPage:
    """The rows of one page of logs, each with its job, and where they stand among the others."""

    query: LogQuery
    rows: Sequence[Row[Any]]
    has_newer: bool
    has_older: bool
    left_out: str | None
    arrived: Count  # since the reader began to read
    position: Count | None  # how many are newer than the first row; not known for a search
    total: Count | None  # not known for a search


def log_page(connection: Connection, query: LogQuery) -> LogPage:
    """The logs that ``query`` asks for."""
    held = replace(query, before=query.top + 1) if query.top and query.is_first_page else query
    found = matching(connection, held)
    if query.after is not None and not found.more:
        return log_page(connection, query.at())  # less than a page is newer than that: the newest page
    of_type = select(logs.c.id).where(logs.c.type == query.type) if query.type else select(logs.c.id)
    searching = bool(query.term)
    return LogPage(
        query=query,
        rows=_with_jobs(connection, found.ids),
        has_newer=not query.is_first_page,
        has_older=query.after is not None or found.more,
        left_out=found.left_out,
        arrived=_arrived(connection, query),
        position=None if searching else _position(connection, query, of_type, found.ids),
        total=None if searching else counted(connection, of_type),
    )


def _arrived(connection: Connection, query: LogQuery) -> Count:
    if not query.top or not query.is_first_page:
        return Count(0)
    newer = matching(connection, replace(query, after=query.top, per_page=ARRIVALS_COUNTED))
    return Count(len(newer.ids), newer.more)


def _position(connection: Connection, query: LogQuery, of_type: Select[Any], ids: list[int]) -> Count:
    if query.is_first_page or not ids:
        return Count(0)
    return counted(connection, of_type.where(logs.c.id > ids[0]))


def _with_jobs(connection: Connection, ids: list[int]) -> list[Row[Any]]:
    """Each log with the columns of its job that are shown beside it, in the order of ``ids``."""
    rows = connection.execute(
        select(
            logs,
            jobs.c.class_name,
            jobs.c.method_name,
            jobs.c.parameters,
            jobs.c.status,
            jobs.c.retry_count,
            jobs.c.max_retries,
            jobs.c.scheduled_at,
        )
        .outerjoin(jobs, jobs.c.id == logs.c.background_job_id)
        .where(logs.c.id.in_(ids))
    )
    by_id = {row.id: row for row in rows}
    return [by_id[number] for number in ids if number in by_id]
