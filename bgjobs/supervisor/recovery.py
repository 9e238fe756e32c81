"""What a supervisor does with running jobs that it did not start itself.

Nothing is recovered because it is old: a job is lost when its process is provably gone, and adopted when
its process provably lives.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from bgjobs.lookups import execution_of, running, whole_number
from bgjobs.models import SUPERVISED
from bgjobs.processes.identity import ProcessIdentity
from bgjobs.processes.signals import is_job_process
from bgjobs.runner.outcome import Execution

Recorded = tuple[Execution, ProcessIdentity, Row[Any]]


@dataclass(frozen=True, slots=True)
class Survey:
    """The running rows that nobody here knows, by what became of their processes."""

    alive: list[Recorded] = field(default_factory=list)
    gone: list[Recorded] = field(default_factory=list)


def survey(connection: Connection, known_tokens: Collection[str]) -> Survey:
    """Look at each running row whose execution is not in ``known_tokens``."""
    found = Survey()
    for row in running(connection):
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
    return found


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
