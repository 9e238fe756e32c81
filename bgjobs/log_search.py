"""The full-text index over the messages of ``job_logs`` (SQLite, FTS5 trigrams), filled in batches.

Not by a trigger: an index entry costs more than the row itself, and a dispatch should not pay for it. What
is not indexed yet is the newest end of the table, and the search reads that part directly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, delete, insert, select, text

from bgjobs.lookups import logs
from bgjobs.models import LOG_SEARCH, Meta

_INDEXED_UP_TO = "job_logs_indexed_up_to"
INDEXED_LENGTH = 8 * 1024
"""Characters of a message that are indexed: as many as a message can have."""


def is_available(connection: Connection) -> bool:
    """Whether this database has the index: an SQLite with FTS5 and its trigram tokenizer."""
    if connection.dialect.name != "sqlite":
        return False
    found = connection.execute(text("SELECT 1 FROM sqlite_master WHERE name = :name"), {"name": LOG_SEARCH})
    return found.scalar() is not None


def indexed_up_to(connection: Connection) -> int:
    """The id of the newest record in the index."""
    value = connection.scalar(select(Meta.value).where(Meta.key == _INDEXED_UP_TO))
    return int(value) if value is not None and value.isdecimal() else 0


def index_batch(connection: Connection, most: int) -> int:
    """Index the oldest records that are not indexed yet, at most ``most``; how many there were."""
    last = indexed_up_to(connection)
    rows = connection.execute(
        select(logs.c.id, logs.c.message).where(logs.c.id > last).order_by(logs.c.id).limit(most)
    ).all()
    if rows:
        connection.execute(
            text(f"INSERT INTO {LOG_SEARCH} (rowid, message) VALUES (:id, :message)"),  # noqa: S608 - a constant
            [{"id": row.id, "message": folded(row.message)} for row in rows],
        )
        connection.execute(delete(Meta).where(Meta.key == _INDEXED_UP_TO))
        connection.execute(insert(Meta).values(key=_INDEXED_UP_TO, value=str(rows[-1].id)))
    return len(rows)


def remove(connection: Connection, rows: Iterable[Any]) -> None:
    """Remove entries, before their records are deleted.

    The index has no copy of the messages, so SQLite has to be told what it indexed (the 'delete' command of FTS5;
    tables with ``contentless_delete=1`` need none, but SQLite 3.43, and room for the size of each record). If a
    record was edited meanwhile, some of its trigrams stay behind. That is harmless: what the index proposes is
    looked up in ``job_logs``, and ids are never used again.
    """
    if not is_available(connection):
        return
    last = indexed_up_to(connection)
    gone = [
        {"id": row.id, "message": folded(row.message)}
        for row in rows
        if row.id <= last and isinstance(row.message, str)
    ]
    if gone:
        connection.execute(
            text(f"INSERT INTO {LOG_SEARCH} ({LOG_SEARCH}, rowid, message) VALUES ('delete', :id, :message)"),  # noqa: S608
            gone,
        )


def folded(message: str) -> str:
    """The message as it is compared: without case, for every alphabet (SQLite folds ASCII alone)."""
    return message[:INDEXED_LENGTH].casefold()


def trigram_query(term: str) -> str | None:
    """The index query for records that contain all trigrams of ``term``; None for a term under three
    characters, which has none. Records found by it may lack the term itself, so they are compared again."""
    wanted = folded(term)
    trigrams = {wanted[start : start + 3] for start in range(len(wanted) - 2)}
    return " ".join('"{}"'.format(part.replace('"', '""')) for part in sorted(trigrams)) or None


def candidates(
    connection: Connection, term: str, *, before: int | None = None, after: int | None = None
) -> Iterator[int]:
    """The ids of indexed records that may contain ``term``: the newest first, or, from beyond ``after`` on,
    the oldest first."""
    query = trigram_query(term)
    assert query is not None
    bounds = "" if before is None else "AND rowid < :before"
    order = "DESC"
    if after is not None:
        bounds, order = f"{bounds} AND rowid > :after", "ASC"
    statement = text(
        f"SELECT rowid FROM {LOG_SEARCH} WHERE {LOG_SEARCH} MATCH :query {bounds} ORDER BY rowid {order}"  # noqa: S608
    )
    yield from connection.execute(statement, {"query": query, "before": before, "after": after}).scalars()
