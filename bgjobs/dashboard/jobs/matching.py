"""Which jobs match a query: their ids, in the order in which the reader walks, and no more than needed.

A walk follows an index (of all jobs, of a status, of a class) and looks at each job on its way whether the rest of
the query fits, too. It looks at so many and then gives up, and says how far it came; the next page goes on there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    asc,
    desc,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.sql import FromClause

from bgjobs.dashboard import formats
from bgjobs.dashboard.causes import NO_EXCEPTION, beginning_of_error, is_by
from bgjobs.dashboard.counts import Count, counted
from bgjobs.dashboard.jobs.query import RETRYING, SCHEDULED, SEPARATOR, JobQuery
from bgjobs.dashboard.jobs.spans import ids_of_times
from bgjobs.dashboard.jobs.ways import shortest_way, status_of
from bgjobs.dashboard.texts import may_contain
from bgjobs.lookups import jobs
from bgjobs.redaction import Redactor

WALKED = 8_000
"""Jobs that a walk looks at where no index knows those that match: up to 50 ms, of a million (measured)."""
_WALKED_PER_TEXT = 8
"""For so many jobs that a walk looks at, it may read the parameters of one as they are shown, with secrets masked.
That takes 30 us each (measured), and only jobs are read that seem to match."""
_PATIENCE = 1.0  # seconds for a search in texts: then the reader gets what was found and is told how far that is


@dataclass(frozen=True, slots=True)
class Matches:
    """Ids of jobs in the order of the walk; whether there are more beyond; and where it was given up."""

    ids: list[int]
    more: bool
    reached: int | None = None


class Walk:
    """One walk over the jobs that an index knows, with the rest of the query to be looked at on the way."""

    def __init__(
        self, connection: Connection, query: JobQuery, redactor: Redactor, now: datetime, walked: int | None = None
    ) -> None:
        self._connection = connection
        self._query = query
        self._redactor = redactor
        self._now = now
        self._walked = walked or WALKED
        self._given_up_at: int | None = None
        self._term = "" if query.job_number else query.term.casefold()
        self._reads = (*(_TEXTS if self._term else ()), *((beginning_of_error(),) if query.exception else ()))
        self._texts_left = self._walked // _WALKED_PER_TEXT
        self._deadline = time.monotonic() + _PATIENCE
        self._bounds = self._ids_between()
        self._way = shortest_way(connection, query)

    @property
    def looks_at_each(self) -> bool:
        """Whether there is more in the query than an index knows."""
        return bool(self._fits(jobs))

    @property
    def reads_texts(self) -> bool:
        return bool(self._term)

    def take(self, most: int) -> Matches:
        """Up to ``most`` jobs that match, from the cursor of the query on."""
        found = list(islice(self._ids(most + 1), most + 1))
        if len(found) > most:
            return Matches(found[:most], True)
        reached = self._given_up_at if self._given_up_at is not None else self._end_of_walk()
        return Matches(found, reached is not None, reached)

    def count(self) -> Count | None:
        """How many jobs match; None for what only texts say, which would have to be walked to their end."""
        if self._reads:
            return None
        if not self.looks_at_each:
            return counted(self._connection, self._on_the_way(jobs.c.id))
        walk = self._on_the_way(*_LOOKED_AT).limit(self._walked).subquery()
        found = counted(self._connection, select(walk.c.id).where(*self._fits(walk)))
        return Count(found.number, found.is_capped or self._end_of_walk() is not None)

    def _ids(self, most: int) -> Iterator[int]:
        if not self.looks_at_each:
            return iter(self._connection.scalars(self._on_the_way(jobs.c.id).limit(most)))
        walk = self._on_the_way(*_LOOKED_AT, *self._reads).limit(self._walked).subquery()
        # The order of the walk is kept without another ORDER BY, with which the database would walk to the end
        # first and sort then.
        statement = select(walk.c.id).where(*self._fits(walk))
        if self._reads:
            read = [walk.c[column.name] for column in self._reads]
            return self._by_reading(statement.add_columns(walk.c.class_name, walk.c.method_name, *read))
        return iter(self._connection.scalars(statement.limit(most)))

    def _by_reading(self, statement: Select[Any]) -> Iterator[int]:
        for row in self._connection.execute(statement):
            if self._is_meant(row):
                yield row.id
            if self._texts_left < 0 or time.monotonic() > self._deadline:
                self._given_up_at = row.id
                return

    def _is_meant(self, row: Row[Any]) -> bool:
        exception = self._query.exception
        return (not exception or is_by(row.error, exception)) and (not self._term or self._contains_it(row))

    def _contains_it(self, row: Row[Any]) -> bool:
        """Looked for in what is shown: a secret is not to be guessed letter by letter."""
        if self._term in f"{row.class_name}{SEPARATOR}{row.method_name}".casefold():
            return True
        if isinstance(row.text, str) and self._term not in row.text.casefold():
            return False
        self._texts_left -= 1
        shown = formats.compact(_PARAMETERS.process_result_value(row.text, None), self._redactor)
        return self._term in shown.casefold()

    def _fits(self, row: FromClause) -> list[ColumnElement[bool]]:
        """What the index does not know of the query."""
        query, column = self._query, row.c
        found: list[ColumnElement[bool]] = []
        if query.state and "status" not in self._way.covers:
            found.append(column.status == status_of(query.state))
        if query.class_name and "class" not in self._way.covers:
            found.append(column.class_name == query.class_name)
        if query.method_name and "method" not in self._way.covers:
            found.append(column.method_name == query.method_name)
        if query.state == RETRYING:
            found.append(column.retry_count > 0)
        if query.state == SCHEDULED:
            found += [column.scheduled_at > self._now, column.retry_count == 0]
        if query.queue:
            found.append(column.queue == query.queue)
        if query.since:
            found.append(column.created_at >= query.since)
        if query.until:
            found.append(column.created_at < query.until)
        if self._term and row is not jobs:
            name = column.class_name + SEPARATOR + column.method_name
            dialect = self._connection.dialect.name
            found.append(may_contain(name, self._term, dialect) | may_contain(column.text, self._term, dialect))
        if query.exception not in ("", NO_EXCEPTION) and row is not jobs:
            found.append(column.error.contains(query.exception, autoescape=True))
        if self._reads and row is jobs:
            found.append(column.id > 0)  # there is something to look at
        return found

    def _on_the_way(self, *columns: Any) -> Select[Any]:
        """The jobs of the index, in order, without a limit."""
        parts = [select(*columns).where(*way, *self._bounds) for way in self._way.parts]
        order = asc if self._query.ascends else desc
        if len(parts) == 1:
            return parts[0].order_by(order(jobs.c.id))
        merged = union_all(*parts).subquery()
        return select(merged).order_by(order(merged.c.id))

    def _end_of_walk(self) -> int | None:
        """The id at which a walk is given up, None where it comes to the end of the jobs before that."""
        if not self.looks_at_each:
            return None
        last = self._on_the_way(jobs.c.id).offset(self._walked - 1).limit(1)
        return next(iter(self._connection.scalars(last)), None)

    def _ids_between(self) -> list[ColumnElement[bool]]:
        query = self._query
        first, last = ids_of_times(self._connection, query.since, query.until)
        first = max(first or 0, query.after or 0)
        before = [number for number in (last, query.before, query.top and query.top + 1) if number]
        bounds: list[ColumnElement[bool]] = [jobs.c.id > first] if first else []
        return [*bounds, jobs.c.id < min(before)] if before else bounds


_PARAMETERS: Any = jobs.c.parameters.type
_LOOKED_AT: tuple[Column[Any], ...] = (
    jobs.c.id,
    jobs.c.status,
    jobs.c.class_name,
    jobs.c.method_name,
    jobs.c.queue,
    jobs.c.retry_count,
    jobs.c.scheduled_at,
    jobs.c.created_at,
)
_TEXTS = (type_coerce(jobs.c.parameters, Text).label("text"),)
