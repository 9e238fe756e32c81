"""A new job made of an old one with other parameters: checked like any dispatch, linked to the old one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, func, select

from bgjobs import clock
from bgjobs.app_state import AppState
from bgjobs.approval import JobCall
from bgjobs.by_hand import note
from bgjobs.dashboard.actions import hurry
from bgjobs.deadlocks import outlasting_deadlocks
from bgjobs.exceptions import InvalidTransition
from bgjobs.limits import limits_of_row
from bgjobs.lookups import job_row, jobs
from bgjobs.models import ENDED
from bgjobs.options import Options, new_job
from bgjobs.store import NewJob

_LOOKED_AT = 1000


class RetriedMeanwhile(Exception):
    """Since the form was made, somebody made another retry of the job, with other parameters."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"Job #{job_id} was made of this one meanwhile.")
        self.job_id = job_id


def check_ended(row: Row[Any]) -> None:
    """Raise :class:`InvalidTransition` for a job that still waits or runs."""
    if row.status not in ENDED:
        raise InvalidTransition(row.id, str(row.status), "retried with other parameters")


def newest_job(connection: Connection) -> int:
    """The newest job there is: what a retry made later is newer than."""
    return connection.scalar(select(func.max(jobs.c.id))) or 0


@outlasting_deadlocks
def retry_with(state: AppState, row: Row[Any], call: JobCall, by: str | None, *, seen_up_to: int | None) -> int:
    """Dispatch ``call`` in place of the ended job of ``row``, with its options; the new job's id.

    A form that is sent twice makes one job: where a retry with the same parameters is newer than ``seen_up_to``,
    the newest job when the form was made, that one is the answer. Raises :class:`RetriedMeanwhile` where its
    parameters are others, and what a dispatch raises.
    """
    state.backend.prepare()
    job = _new_job(state, row, call)
    with state.store.changing() as changes:
        check_ended(job_row(changes.connection, row.id))
        if seen_up_to is not None and (made := _retry_since(changes.connection, row, seen_up_to)) is not None:
            if made.parameters == job.parameters:
                return int(made.id)
            raise RetriedMeanwhile(made.id)
        (job_id,) = changes.enqueue_all([job], max_pending=state.settings.max_pending)
        note(changes, row.id, f"Retried with other parameters, as job #{job_id},", by)
        note(changes, job_id, f"A retry of job #{row.id} with other parameters, dispatched", by)
    hurry(lambda: state.backend.dispatched([job_id]))
    return job_id


def _new_job(state: AppState, row: Row[Any], call: JobCall) -> NewJob:
    kept = Options(
        queue=row.queue,
        priority=row.priority,
        max_retries=row.max_retries,
        retry_delay=row.retry_delay,
        timeout=row.timeout,
    )
    job = new_job(call, 0, kept, runner=state.runner_class, settings=state.settings, now=clock.now())
    # Where the old one has none, it keeps having none, whatever the class says by now.
    timeout = None if row.timeout is None else job.timeout
    return replace(job, timeout=timeout, limits=limits_of_row(row.limits), retry_of=row.id)


def _retry_since(connection: Connection, row: Row[Any], newest: int) -> Any:
    """By the index of the class: among the newest jobs of the same method, where a second click finds what the
    first one made."""
    same = (jobs.c.class_name == row.class_name, jobs.c.method_name == row.method_name)
    since = (
        select(jobs.c.id).where(*same, jobs.c.id > newest).order_by(jobs.c.id.desc()).limit(_LOOKED_AT).subquery()
    )
    made = (
        select(jobs.c.id, jobs.c.parameters).join(since, since.c.id == jobs.c.id).where(jobs.c.retry_of == row.id)
    )
    return connection.execute(made.order_by(jobs.c.id.desc()).limit(1)).first()
