"""What attempts printed, in pieces in the database: for hosts on which their files do not lie.

A place is a byte of the text as it is stored, from the beginning of all that was printed. That is the place in the
file, too, as long as nothing had to be written otherwise and the file was not trimmed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Connection, LargeBinary, Table, bindparam, delete, func, insert, select
from sqlalchemy import cast as as_type

from bgjobs.lookups import IS_RUNNING, jobs
from bgjobs.models import JobOutput
from bgjobs.output import unfinished_character
from bgjobs.runner.outcome import Execution

PIECE = 16 * 1024
"""Bytes of one piece, at the most."""
KEPT = 256 * 1024
"""Bytes of an attempt that are kept, at the most: the newest ones."""

outputs = cast(Table, JobOutput.__table__)


@dataclass(frozen=True, slots=True)
class Printed:
    """News of the output of an execution: the pieces that it has now from ``since`` on, where it is not None, and
    none that begins before ``until``. ``pieces`` are texts with their places."""

    job: Execution
    pieces: Sequence[tuple[int, str]] = field(default_factory=list)
    since: int | None = None
    until: int = 0


def readable(data: bytes) -> str:
    """Bytes as a text that every database takes: PostgreSQL refuses a NUL, and all refuse what is no UTF-8."""
    return data.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def cut(text: bytes) -> Iterator[bytes]:
    """The pieces of ``text``, which is UTF-8: they end with a line where they can."""
    start = 0
    while start < len(text):
        piece = text[start : start + PIECE]
        if start + PIECE < len(text):
            piece = piece[: piece.rfind(b"\n") + 1] or piece[: len(piece) - unfinished_character(piece)]
        yield piece
        start += len(piece)


def write(connection: Connection, news: Sequence[Printed]) -> None:
    """Store what executions printed that still run."""
    rows: list[dict[str, Any]] = []
    for item in news:
        if item.since is not None or item.until:
            _insert(connection, rows)
            _drop(connection, item)
        rows += [
            {
                "job_id": item.job.id,
                "token": item.job.token,
                "number": item.job.attempt,
                "place": place,
                "text": text,
            }
            for place, text in item.pieces
        ]
    _insert(connection, rows)


def extents(connection: Connection, job_id: int) -> dict[int, tuple[int, int]]:
    """The places at which the output begins and ends that is kept, by the number of the attempt."""
    sizes = func.octet_length(outputs.c.content)
    if connection.dialect.name == "sqlite":  # which knows that function since 3.43
        sizes = func.length(as_type(outputs.c.content, LargeBinary))
    found = (
        select(outputs.c.attempt, func.min(outputs.c.position), func.max(outputs.c.position + sizes))
        .where(outputs.c.background_job_id == job_id)
        .group_by(outputs.c.attempt)
    )
    return {
        attempt: (begins, ends)
        for attempt, begins, ends in connection.execute(found)
        if isinstance(begins, int) and isinstance(ends, int)  # else somebody edited the rows
    }


def read(connection: Connection, job_id: int, attempt: int, place: int, most: int) -> bytes:
    """The output from ``place`` on, up to ``most`` bytes, or from where it begins, if that is later."""
    c = outputs.c
    rows = connection.execute(
        select(c.position, c.content)
        .where(c.background_job_id == job_id, c.attempt == attempt)
        .where(c.position > place - PIECE, c.position < place + most)
        .order_by(c.position, c.id)
        .limit(2 * KEPT // PIECE + most)
    )
    parts = [str(text).encode("utf-8", "backslashreplace")[max(0, place - start) :] for start, text in rows]
    return b"".join(parts)[:most]


def _drop(connection: Connection, item: Printed) -> None:
    of_attempt = delete(outputs).where(
        outputs.c.background_job_id == item.job.id, outputs.c.attempt == item.job.attempt
    )
    if item.since is not None:
        connection.execute(of_attempt.where(outputs.c.position >= item.since))
    if item.until:
        connection.execute(of_attempt.where(outputs.c.position < item.until))


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(_ADD, rows)
        rows.clear()


# Fenced like everything that is written of an execution; and a job that somebody deleted meanwhile breaks no
# foreign key.
_ADD = insert(outputs).from_select(
    ("background_job_id", "attempt", "position", "content"),
    select(
        jobs.c.id,
        bindparam("number", type_=outputs.c.attempt.type),
        bindparam("place", type_=outputs.c.position.type),
        bindparam("text", type_=outputs.c.content.type),
    ).where(jobs.c.id == bindparam("job_id"), jobs.c.execution_token == bindparam("token"), IS_RUNNING),
)
