"""Which logs match a query: their ids, in the order in which the reader walks, and no more than needed.

The full-text index proposes, the message itself decides: an index of trigrams finds every record that
contains the term and some that do not.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from typing import Any

from sqlalchemy import Connection, Select, func, select

from bgjobs.dashboard.logs.query import LogQuery
from bgjobs.dashboard.texts import may_contain
from bgjobs.log_search import candidates, folded, indexed_up_to, is_available, trigram_query
from bgjobs.lookups import logs

SCANNED = 100_000
"""Logs that are read, the newest ones, where no index can help."""
_PATIENCE = 1.0  # seconds: then the reader gets what was found and is told how far that is
_FIRST_BATCH, _LARGEST_BATCH = 50, 400


@dataclass(frozen=True, slots=True)
class Matches:
    """Ids of logs, the newest first; whether there are more beyond; and what was left out, in words."""

    ids: list[int]
    more: bool
    left_out: str | None = None


def matching(connection: Connection, query: LogQuery) -> Matches:
    """The page of logs that ``query`` asks for."""
    search = Search(connection, query)
    found = list(islice(search.ids(), query.offset, query.offset + query.per_page + 1))
    page = found[: query.per_page]
    newest_first = page if query.after is None else page[::-1]
    return Matches(newest_first, len(found) > query.per_page, search.left_out)


class Search:
    """One walk over the logs: the newest first, or, beyond ``after``, the oldest first."""

    def __init__(self, connection: Connection, query: LogQuery) -> None:
        self.left_out: str | None = None
        self._connection = connection
        self._query = query
        self._term = folded(query.term)
        self._ascending = query.after is not None
        self._deadline = time.monotonic() + _PATIENCE

    def ids(self) -> Iterator[int]:
        if not self._term:
            return self._scalars(self._in_order(select(logs.c.id)))
        streams = [self._by_message(), self._by_job()]
        return _without_repeats(heapq.merge(*streams, reverse=not self._ascending))

    def _by_job(self) -> Iterator[int]:
        number = self._query.job_number
        if number is None:
            return iter(())
        return self._scalars(self._in_order(select(logs.c.id).where(logs.c.background_job_id == number)))

    def _by_message(self) -> Iterator[int]:
        newest = self._connection.scalar(select(func.max(logs.c.id))) or 0
        if trigram_query(self._term) is None or not is_available(self._connection):
            if newest > SCANNED:
                self.left_out = f"Searched the newest {SCANNED:,} logs. Three characters or more search them all."
            return self._scan(newest - SCANNED)
        indexed = indexed_up_to(self._connection)
        if newest - indexed > SCANNED:
            self.left_out = f"{newest - indexed - SCANNED:,} logs are still being indexed and were not searched."
        # What is not indexed yet is the newest end of the table.
        parts = [self._scan(max(indexed, newest - SCANNED)), self._look_up(indexed)]
        return chain.from_iterable(reversed(parts) if self._ascending else parts)

    def _look_up(self, indexed: int) -> Iterator[int]:
        """Matches among the logs that are in the index."""
        before = min(self._query.before or indexed + 1, indexed + 1)
        proposed = candidates(self._connection, self._term, before=before, after=self._query.after)
        for batch in _batches(proposed):
            rows = self._connection.execute(
                self._of_type(select(logs.c.id, logs.c.message).where(logs.c.id.in_(batch)))
            )
            messages = {row.id: row.message for row in rows}
            yield from (number for number in batch if self._contains_it(messages.get(number)))
            if time.monotonic() > self._deadline:
                self.left_out = f"Searched back to log {batch[-1]:,}. Narrow the search to see more."
                return

    def _scan(self, beyond: int) -> Iterator[int]:
        """Matches among the logs with an id above ``beyond``, by reading them."""
        may_have_it = may_contain(logs.c.message, self._term, self._connection.dialect.name)
        rows = select(logs.c.id, logs.c.message).where(logs.c.id > beyond, may_have_it)
        for row in self._connection.execute(self._in_order(rows)):
            if self._contains_it(row.message):
                yield row.id

    def _contains_it(self, message: object) -> bool:
        return isinstance(message, str) and self._term in folded(message)

    def _in_order(self, statement: Select[Any]) -> Select[Any]:
        statement = self._of_type(statement)
        if self._query.after is not None:
            return statement.where(logs.c.id > self._query.after).order_by(logs.c.id)
        if self._query.before is not None:
            statement = statement.where(logs.c.id < self._query.before)
        return statement.order_by(logs.c.id.desc())

    def _of_type(self, statement: Select[Any]) -> Select[Any]:
        return statement.where(logs.c.type == self._query.type) if self._query.type else statement

    def _scalars(self, statement: Select[Any]) -> Iterator[int]:
        most = self._query.offset + self._query.per_page + 1
        return iter(self._connection.scalars(statement.limit(most)))


def _batches(ids: Iterator[int]) -> Iterator[list[int]]:
    """Small batches first: a common word fills a page at once."""
    size = _FIRST_BATCH
    while batch := list(islice(ids, size)):
        yield batch
        size = min(size * 2, _LARGEST_BATCH)


def _without_repeats(ids: Iterable[int]) -> Iterator[int]:
    return (now for last, now in pairwise(chain([-1], ids)) if now != last)
