"""The supervisors of other machines, as they describe themselves with their leases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from bgjobs.leases import machine, machines
from bgjobs.processes.identity import boot_id, host_name, pid_namespace
from bgjobs.supervisor.status import SupervisorStatus, status_of


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A supervisor on another host, or in another container. ``left`` is how many seconds its lease still has,
    negative when it has ended: then it is gone, asleep or cut off, and its jobs are run again by others."""

    status: SupervisorStatus
    name: str
    left: float

    @property
    def is_heard_of(self) -> bool:
        return self.left > 0


def supervisors_elsewhere(connection: Connection) -> list[Elsewhere]:
    """Those that have not left in an orderly way, by the names of their machines."""
    here = machine(host_name(), boot_id(), pid_namespace())
    found = []
    for row in machines(connection):
        status = status_of(row.about)
        if row.name != here and status is not None and isinstance(row.left, int | float):
            found.append(Elsewhere(status, row.name, float(row.left)))
    return found


def at_work(found: Sequence[Elsewhere]) -> list[SupervisorStatus]:
    """Those that are heard of."""
    return [item.status for item in found if item.is_heard_of]
