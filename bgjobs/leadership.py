"""The one of many: who of several processes, on whatever hosts, does what only one of them should.

The leader holds a lease on the clock of the database and renews it long before it ends. What it does must be safe
all the same when two do it for a moment: one that was asleep may not know yet that it is the leader no longer.
"""

from __future__ import annotations

import uuid

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, update
from sqlalchemy.exc import IntegrityError

from bgjobs.database import Database
from bgjobs.leases import SecondsNow
from bgjobs.models import Lease


class Leadership:
    """A claim to be the one of this ``name``, for ``seconds`` at a time."""

    def __init__(self, database: Database, name: str, seconds: float) -> None:
        self._database = database
        self._name = name
        self._seconds = seconds
        self._holder = uuid.uuid4().hex

    def is_ours(self) -> bool:
        """Become the leader if there is none, or remain it; False while another one is. Call it at least three
        times in the seconds of the lease. Raises :class:`~bgjobs.exceptions.BackendUnavailable`."""
        with self._database.writing() as connection:
            if self._renewed(connection):
                return True
        return self._began()

    def give_up(self) -> None:
        """Let another one be the leader at once."""
        with self._database.writing() as connection:
            connection.execute(delete(Lease).where(Lease.name == self._name, Lease.holder == self._holder))

    def _renewed(self, connection: Connection) -> bool:
        free = or_(Lease.holder == self._holder, Lease.expires_at < SecondsNow())
        taken = update(Lease).where(Lease.name == self._name, free)
        return connection.execute(taken.values(holder=self._holder, expires_at=self._end())).rowcount == 1

    def _began(self) -> bool:
        values = {"name": self._name, "holder": self._holder, "expires_at": self._end()}
        try:
            with self._database.writing() as connection:
                connection.execute(insert(Lease).values(values))
        except IntegrityError:
            return False  # there is a row, and it is another's
        return True

    def _end(self) -> ColumnElement[float]:
        return SecondsNow() + self._seconds
