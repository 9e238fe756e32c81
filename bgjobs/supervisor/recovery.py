"""What a supervisor does with running jobs that it did not start itself.

Nothing is recovered because it is old: a job is lost when its process is provably gone, and adopted when
its process provably lives. Processes on other machines cannot be judged; such a job is lost when the lease of its
machine has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from bgjobs.leases import machine_of
from bgjobs.lookups import execution_of, running, whole_number
from bgjobs.models import SUPERVISED
from bgjobs.processes.identity import ProcessIdentity
from bgjobs.processes.signals import is_job_process
from bgjobs.runner.outcome import Execution

Recorded = tuple[Execution, ProcessIdentity, Row[Any]]
HeardOf = Callable[[Connection], Collection[str] | None]
"""The machines whose leases have not ended; None where that cannot be relied on at the moment."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The running rows that nobody here knows, by what became of their processes, and all tokens that are
    current."""

    alive: list[Recorded] = field(default_factory=list)
    gone: list[Recorded] = field(default_factory=list)
    silent: list[Recorded] = field(default_factory=list)  # on machines that nobody has heard of
    elsewhere: list[Recorded] = field(default_factory=list)  # on other machines, as far as one knows
    current: set[Any] = field(default_factory=set)


def survey(connection: Connection, known_tokens: Collection[str], heard_of: HeardOf) -> Survey:
    """Look at each running row whose execution is not in ``known_tokens``."""
    found = Survey()
    for row in running(connection):
        found.current.add(row.execution_token)
        if row.execution_token in known_tokens:
            continue
        recorded = (
            execution_of(row, token=row.execution_token or "", attempt=whole_number(row.attempt)),
            recorded_identity(row),
            row,
        )
        verdict = recorded[1].judge()
        # An inline job runs in a process of the application: alive, it is none of our business. A living
        # process that is no job process cannot be the one that runs a job: the row was forged.
        if verdict == "gone" or (
            verdict == "alive" and row.backend in SUPERVISED and not is_job_process(recorded[1])
        ):
            found.gone.append(recorded)
        elif verdict == "alive" and row.backend in SUPERVISED:
            found.alive.append(recorded)
        elif verdict == "unknown" and row.backend in SUPERVISED:
            found.elsewhere.append(recorded)
    _part_the_silent(found, connection, heard_of)
    return found


def _part_the_silent(found: Survey, connection: Connection, heard_of: HeardOf) -> None:
    """Asked after the rows were read: a machine has a lease before it has its first job."""
    machines = heard_of(connection) if found.elsewhere else None
    if machines is not None:
        found.silent.extend(item for item in found.elsewhere if machine_of(item[2]) not in machines)
        found.elsewhere[:] = [item for item in found.elsewhere if machine_of(item[2]) in machines]


def seconds_run(row: Row[Any], now: datetime, age: float | None = None) -> float:
    """How long a running job has run by its row, without the time for which it was held up.

    Somebody may have set the clock since: it is not longer than its process lives, ``age``, where that is known.
    """
    until = now if row.paused_at is None else row.paused_at
    held = row.paused_seconds if isinstance(row.paused_seconds, int | float) else 0.0
    seconds = (until - row.started_at).total_seconds()
    return float(max(0.0, (seconds if age is None else min(seconds, age)) - held))


def recorded_identity(row: Row[Any]) -> ProcessIdentity:
    """The identity that a row of ``background_jobs`` holds."""
    return ProcessIdentity(
        str(row.host), str(row.boot_id), str(row.pid_namespace), row.pid, str(row.process_started)
    )
