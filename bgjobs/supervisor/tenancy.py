"""The lease of this machine, and what it allows: to say of another machine that it is gone."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection

from bgjobs import leases
from bgjobs.clock import steady
from bgjobs.processes.identity import ProcessIdentity


class Tenancy:
    """Renews the lease of this machine. ``seconds`` is its length (``BGJOBS_LEASE``)."""

    def __init__(self, seconds: float, own: ProcessIdentity) -> None:
        self.seconds = seconds
        self._name = leases.machine(own.host, own.boot_id, own.pid_namespace)
        self._holder = uuid.uuid4().hex
        # On the clock that goes on while the machine sleeps: who wakes up renews before anything else.
        self._renewed_at = self._unbroken_since = float("-inf")
        self._last = float("-inf")  # the renewal before, by the clock of the database

    @property
    def renew_in(self) -> float:
        """Seconds until the lease is to be renewed."""
        return max(0.0, self._renewed_at + self.seconds / 3 - steady())

    def renew(self, connection: Connection, about: Mapping[str, Any]) -> bool:
        """Renew the lease; ``about`` is what other hosts show of this one. False when it had ended meanwhile: what
        ran here may have been recovered by others."""
        if self._last < 0:
            leases.forget_old(connection)
        renewal = leases.renew(connection, self._name, self._holder, self.seconds, about)
        now = self._renewed_at = steady()
        # A lease is renewed when a third of it is over, so whatever kept us from the database for half of it may
        # have kept the others as well; and somebody may have set its clock.
        if not 0 <= renewal.at - self._last <= self.seconds / 2:
            self._unbroken_since = now
        self._last = renewal.at
        return not renewal.had_lapsed

    def heard_of(self, connection: Connection) -> Collection[str] | None:
        """The machines of which somebody has heard; None when that says nothing of the others: after an outage of
        the database the lease of each machine looks as if it had ended, until each has renewed it."""
        now = steady()
        if now < self._unbroken_since + self.seconds or now > self._renewed_at + self.seconds / 2:
            return None
        return leases.unexpired(connection)

    def say_farewell(self, connection: Connection) -> None:
        """This supervisor leaves."""
        leases.say_farewell(connection, self._name, self._holder)
