"""Leases: who is known to be at work, by the clock of the database, which all hosts share.

A machine that runs jobs renews its lease long before it ends. One whose lease has ended is gone, asleep or cut
off; which of these nobody can tell from outside, so what it says later is fenced out by the execution token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Double, Row, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from bgjobs.models import Lease

leases = cast(Table, Lease.__table__)

FORGOTTEN_AFTER = 3600.0
"""Seconds after its end for which a lease is still shown: long enough for somebody to wonder where a host is."""
_LONGEST_NAME = 400
_MACHINE = "machine "


class SecondsNow(FunctionElement[float]):
    """The clock of the database: seconds since 1970 in UTC, also inside a transaction that began before."""

    name = "seconds_now"
    type = Double()
    inherit_cache = True


@dataclass(frozen=True, slots=True)
class Renewal:
    """When a lease was renewed, by the clock of the database, and whether it had ended before (or never begun)."""

    at: float
    had_lapsed: bool


def machine(host: str, boot_id: str, pid_namespace: str) -> str:
    """The name of the lease of a machine: of one boot of a host, and of one container on it."""
    return f"{_MACHINE}{host} {boot_id} {pid_namespace}"[:_LONGEST_NAME]


def machine_of(row: Any) -> str:
    """The machine on which a row of ``background_jobs`` says that its job runs."""
    return machine(str(row.host), str(row.boot_id), str(row.pid_namespace))


def renew(connection: Connection, name: str, holder: str, seconds: float, about: Mapping[str, Any]) -> Renewal:
    """Hold the lease for ``seconds`` from now on, whoever held it before."""
    values = {"holder": holder, "expires_at": SecondsNow() + seconds, "about": dict(about)}
    before = connection.execute(_OF_NAME.where(leases.c.name == name).with_for_update()).first()
    if before is None:
        _insert(connection, name, values)
        return Renewal(float(connection.scalar(select(SecondsNow())) or 0.0), had_lapsed=True)
    connection.execute(update(leases).where(leases.c.name == name).values(values))
    return Renewal(float(before.now), had_lapsed=not _is_later(before.expires_at, before.now))


def say_farewell(connection: Connection, name: str, holder: str) -> None:
    """Nobody is at work here any more. The lease is left to end by itself: another supervisor of this machine may
    rely on it, and would look gone if it ended at once."""
    is_ours = (leases.c.name == name, leases.c.holder == holder)
    connection.execute(update(leases).where(*is_ours).values(about=None))


def forget_old(connection: Connection) -> None:
    """Remove the leases that ended long ago."""
    connection.execute(delete(leases).where(leases.c.expires_at < SecondsNow() - FORGOTTEN_AFTER))


def unexpired(connection: Connection) -> frozenset[str]:
    """The names of the leases that have not ended."""
    return frozenset(connection.scalars(select(leases.c.name).where(leases.c.expires_at > SecondsNow())))


def machines(connection: Connection) -> list[Row[Any]]:
    """The machines on which somebody is, or was when it was last heard of: ``name``, ``about``, and ``left``,
    the seconds until the lease ends; negative when it has."""
    found = select(leases.c.name, leases.c.about, (leases.c.expires_at - SecondsNow()).label("left"))
    is_told = (leases.c.name.startswith(_MACHINE, autoescape=True), leases.c.about.is_not(None))
    return list(connection.execute(found.where(*is_told).order_by(leases.c.name)))


def _insert(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    try:
        with connection.begin_nested():
            connection.execute(insert(leases).values(name=name, **values))
    except IntegrityError:  # another supervisor of this machine was quicker, and holds it as long
        connection.execute(update(leases).where(leases.c.name == name).values(values))


def _is_later(expires_at: Any, now: float) -> bool:
    """Somebody may have edited the row."""
    return isinstance(expires_at, int | float) and expires_at > now


@compiles(SecondsNow, "sqlite")
def _on_sqlite(element: SecondsNow, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(SecondsNow, "postgresql")
def _on_postgresql(element: SecondsNow, compiler: Any, **options: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


@compiles(SecondsNow, "mysql")
@compiles(SecondsNow, "mariadb")
def _on_mariadb(element: SecondsNow, compiler: Any, **options: Any) -> str:
    # Not UNIX_TIMESTAMP(): it goes by the local time, which jumps twice a year.
    return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6)) / 1e6)"


_OF_NAME = select(leases.c.expires_at, SecondsNow().label("now"))
