"""What the new database knows of the move: where its jobs come from, and which numbers are whose."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, replace
from typing import cast

from sqlalchemy import Connection, Table, insert, select, update

from bgjobs import output_store
from bgjobs.database import Database, same_database
from bgjobs.exceptions import ConfigurationError
from bgjobs.lookups import attempts, jobs, logs
from bgjobs.models import Meta
from bgjobs.moving.numbering import highest, next_numbers
from bgjobs.samples import samples

TABLES: tuple[Table, ...] = (jobs, logs, attempts, samples, output_store.outputs)
"""The tables whose rows are numbered, the jobs first."""

# So many jobs may still be dispatched into the old database until the last process has the new setting, without a
# number that the new one gives, too. Of what belongs to a job nobody sees the numbers.
ROOM = 100_000
_ROOM_OF_OTHERS = 100_000_000

_IDENTITY, _TICKET = "database_id", "moved_from"


@dataclass(frozen=True, slots=True)
class Ticket:
    """``first`` are the numbers from which on rows are the new database's own, by table."""

    source: str
    first: dict[str, int]
    minute: int = -1  # up to which the numbers of the charts were brought
    paused: str = ""  # when the newest pause of a queue was made that was brought


def identity_of(database: Database) -> str:
    """A name by which a database is known again, however its URL is written. Made at its first move."""
    with database.writing() as connection:
        found = _identity(connection)
        if found is None:
            found = uuid.uuid4().hex
            connection.execute(insert(Meta).values(key=_IDENTITY, value=found))
        return found


def obtain(source: Database, destination: Database) -> None:
    """Let the new database be the destination of a move from ``source``, at the first time or again.

    Raises :class:`ConfigurationError` where it holds other jobs.
    """
    shown = destination.url.render_as_string()
    identity = identity_of(source)
    with destination.reading() as connection:
        if same_database(source.url, destination.url) or _identity(connection) == identity:
            raise ConfigurationError(f"The jobs are in {shown} already. Name another database.")
        ticket = _ticket(connection)
        newest = highest(connection, jobs)
    if (ticket is None and newest) or (ticket is not None and ticket.source != identity):
        raise ConfigurationError(
            f"{shown} holds other jobs, and two jobs cannot have one number. Nothing was changed. Name an empty "
            "database; tables that are not there are made."
        )
    if ticket is None or newest < ticket.first[jobs.name]:  # it has given no number yet
        _number_anew(source, destination, identity, is_first_time=ticket is None)


def hold(connection: Connection) -> Ticket:
    """The ticket, locked until the transaction ends: two that move at a time do it in turn."""
    value = connection.scalar(select(Meta.value).where(Meta.key == _TICKET).with_for_update())
    if value is None:
        raise ConfigurationError("The other database has lost its mark of this move. Begin with an empty one.")
    return Ticket(**json.loads(value))


def renew(connection: Connection, ticket: Ticket) -> None:
    """Note how far the move has come."""
    connection.execute(update(Meta).where(Meta.key == _TICKET).values(value=json.dumps(asdict(ticket))))


def _number_anew(source: Database, destination: Database, identity: str, *, is_first_time: bool) -> None:
    with source.reading() as connection:
        taken = {table: highest(connection, table) for table in TABLES}
    first = {table: taken[table] + 1 + (ROOM if table is jobs else _ROOM_OF_OTHERS) for table in TABLES}
    next_numbers(destination, first)
    numbers = {table.name: number for table, number in first.items()}
    with destination.writing() as connection:
        if is_first_time:
            value = json.dumps(asdict(Ticket(identity, numbers)))
            connection.execute(insert(Meta).values(key=_TICKET, value=value))
        else:  # changed, not exchanged: another one that moves may wait for this very row
            renew(connection, replace(hold(connection), first=numbers))


def _identity(connection: Connection) -> str | None:
    return cast("str | None", connection.scalar(select(Meta.value).where(Meta.key == _IDENTITY)))


def _ticket(connection: Connection) -> Ticket | None:
    value = connection.scalar(select(Meta.value).where(Meta.key == _TICKET))
    return None if value is None else Ticket(**json.loads(value))
