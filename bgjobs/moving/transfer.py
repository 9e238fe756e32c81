"""Brings jobs with all that belongs to them into the other database: each batch whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select
from sqlalchemy.exc import DataError, IntegrityError, StatementError

from bgjobs import output_store
from bgjobs.database import Database
from bgjobs.exceptions import ConfigurationError
from bgjobs.lookups import attempts, jobs, whole_number
from bgjobs.models import UNFINISHED
from bgjobs.moving.ticket import TABLES, Ticket, hold
from bgjobs.moving.values import Values, as_stored, fitting
from bgjobs.output import read_end
from bgjobs.state_folder import StateFolder

_STORED = {table: as_stored(table) for table in TABLES}
_FITTING = {table: fitting(stored) for table, stored in _STORED.items()}
_JOBS = _STORED[jobs]
# Rows that are in memory at a time: a single job may have more than a million of them.
_ROWS = 2000
_OUTPUTS = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of the work: how many jobs were looked at and how many brought, and those that were not taken."""

    seen: int
    brought: int
    refused: Sequence[int] = ()


def _as_it_is(row: Values) -> Values:
    return row


class Transfer:
    """From one database to another. ``folder`` is where the outputs of the jobs lie, if that is on this host."""

    def __init__(self, source: Database, destination: Database, folder: StateFolder) -> None:
        self._source = source
        self._destination = destination
        self._folder = folder

    def bring(
        self,
        ids: Sequence[int],
        *,
        wanted: Callable[[Values], bool],
        changed: Callable[[Values], Values] = _as_it_is,
    ) -> Step:
        """Bring those of the jobs that are ``wanted`` and are not there, or there as they were before.

        ``changed`` says what a row becomes. Where one is not taken, they are brought one by one, so that only
        that one stays.
        """
        try:
            return Step(len(ids), self._bring(ids, wanted, changed))
        except (DataError, IntegrityError, StatementError):
            if len(ids) == 1:
                return Step(1, 0, list(ids))
        steps = [self.bring([job_id], wanted=wanted, changed=changed) for job_id in ids]
        refused = [job_id for step in steps for job_id in step.refused]
        return Step(len(ids), sum(step.brought for step in steps), refused)

    def _bring(
        self, ids: Sequence[int], wanted: Callable[[Values], bool], changed: Callable[[Values], Values]
    ) -> int:
        with self._destination.writing() as there, self._source.reading() as here:
            ticket = hold(there)
            known = {row.id: row for row in there.execute(_what_is_known(ids))}
            found = here.execute(select(_JOBS).where(_JOBS.c.id.in_(ids)).order_by(_JOBS.c.id)).mappings()
            rows = [_FITTING[jobs](row) for row in found]
            rows = [row for row in rows if wanted(row) and _is_news(row, known.get(row["id"]))]
            if not rows:
                return 0
            brought = [row["id"] for row in rows]
            _check_numbers(ticket, jobs, rows)
            if known:
                there.execute(delete(jobs).where(jobs.c.id.in_(brought)))
            there.execute(insert(_JOBS), [changed(row) for row in rows])
            for table in TABLES[1:]:
                for part in _belongings(here, table, brought):
                    _check_numbers(ticket, table, part)
                    there.execute(insert(_STORED[table]), part)
            self._bring_files(here, there, brought)
        return len(brought)

    def _bring_files(self, here: Connection, there: Connection, ids: Sequence[int]) -> None:
        """The end of each output that lies in a file here, and that the database does not have."""
        c = attempts.c
        of_jobs = select(c.background_job_id, c.number).where(c.background_job_id.in_(ids))
        c = output_store.outputs.c
        known = select(c.background_job_id, c.attempt).where(c.background_job_id.in_(ids)).distinct()
        stored = {(job, attempt) for job, attempt in here.execute(known)}
        rows: list[Values] = []
        size = 0
        for job_id, number in here.execute(of_jobs).all():
            if (job_id, number) in stored:
                continue
            end, place = read_end(self._folder.output_file(job_id, whole_number(number)), output_store.KEPT)
            for piece in output_store.cut(output_store.readable(end).encode()):
                row = {
                    "background_job_id": job_id,
                    "attempt": number,
                    "position": place,
                    "content": piece.decode(),
                }
                rows.append(row)
                place, size = place + len(piece), size + len(piece)
            if size > _OUTPUTS:
                there.execute(insert(output_store.outputs), rows)
                rows, size = [], 0
        if rows:
            there.execute(insert(output_store.outputs), rows)


def _what_is_known(ids: Sequence[int]) -> Any:
    c = jobs.c
    return select(c.id, c.status, c.attempt, c.updated_at).where(c.id.in_(ids)).with_for_update()


def _is_news(row: Values, known: Row[Any] | None) -> bool:
    """Whether the old database has more to tell of a job: not where the new one has run it, or is about to."""
    if known is None:
        return True
    if known.status in UNFINISHED or known.attempt > row["attempt"]:
        return False
    return known.updated_at is None or bool(row["updated_at"] > known.updated_at)


def _belongings(here: Connection, table: Any, ids: Sequence[int]) -> Iterator[list[Values]]:
    stored, fit = _STORED[table], _FITTING[table]
    of_jobs = select(stored).where(stored.c.background_job_id.in_(ids)).order_by(stored.c.id)
    for part in here.execute(of_jobs).mappings().partitions(_ROWS):
        yield [fit(row) for row in part]


def _check_numbers(ticket: Ticket, table: Any, rows: Sequence[Values]) -> None:
    """A number that the new database gives to others. It is long until then."""
    first = ticket.first[table.name]
    if any(row["id"] >= first for row in rows):
        raise ConfigurationError(
            f"The old database has numbered rows of {table.name} up to {first} meanwhile, and from there on the "
            "numbers are those of the new one. Let nothing dispatch into the old one any more; what it has beyond "
            "that number stays there."
        )
