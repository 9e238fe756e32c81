"""What the buttons do: a transition of the store, and a line in the story of the job that says who wanted it."""

from __future__ import annotations

from collections.abc import Callable

from bgjobs import by_hand
from bgjobs.app_state import AppState
from bgjobs.by_hand import note, on_the_dashboard
from bgjobs.custom_logger import console
from bgjobs.deadlocks import outlasting_deadlocks
from bgjobs.exceptions import InvalidTransition, JobRunnerException
from bgjobs.killing import kill_on
from bgjobs.lookups import job_row
from bgjobs.pausing import pause_on, resume_on
from bgjobs.removal import remove


@outlasting_deadlocks
def retry(state: AppState, job_id: int, by: str | None) -> None:
    """Put a failed or cancelled job back to pending. Raises :class:`~bgjobs.exceptions.JobNotFound` and
    :class:`~bgjobs.exceptions.InvalidTransition`, as all of them do."""
    with state.store.changing() as changes:
        by_hand.retry(changes, job_id, by)
    hurry(lambda: state.backend.dispatched([job_id]))


@outlasting_deadlocks
def undo(state: AppState, job_id: int, by: str | None) -> None:
    """Take back a retry: cancel the job, unless it has been started."""
    with state.store.changing() as changes:
        if not changes.cancel_pending(job_id, by=on_the_dashboard(by)):
            row = job_row(changes.connection, job_id)
            raise InvalidTransition(job_id, str(row.status), "taken back", ended_at=row.completed_at)
        note(changes, job_id, "Retry taken back", by)


@outlasting_deadlocks
def cancel(state: AppState, job_id: int, by: str | None) -> None:
    """Cancel a pending job, or ask a running one to stop."""
    with state.store.changing() as changes:
        by_hand.cancel(changes, job_id, by)
    hurry(state.backend.wake)


@outlasting_deadlocks
def kill(state: AppState, job_id: int, by: str | None) -> None:
    """End a running job at once, with everything it started."""
    with state.store.changing() as changes:
        if kill_on(changes, job_id, by=on_the_dashboard(by)):
            note(changes, job_id, "Killed", by)
    hurry(state.backend.wake)


@outlasting_deadlocks
def pause(state: AppState, job_id: int, by: str | None) -> None:
    """Hold up a running job."""
    with state.store.changing() as changes:
        pause_on(changes, job_id, by=on_the_dashboard(by))
    hurry(state.backend.wake)


@outlasting_deadlocks
def resume(state: AppState, job_id: int, by: str | None) -> None:
    """Let a paused job go on."""
    with state.store.changing() as changes:
        resume_on(changes, job_id, by=on_the_dashboard(by))
    hurry(state.backend.wake)


def delete(state: AppState, job_id: int, by: str | None) -> None:
    """Remove an ended job with all that belongs to it. The log file keeps a record of that, and of who did it."""
    with state.store.database.reading() as connection:
        job_row(connection, job_id)
    if remove(state, [job_id], on_the_dashboard(by)).jobs.total():
        return
    with state.store.database.reading() as connection:
        row = job_row(connection, job_id)  # somebody else may have removed it in between
    raise InvalidTransition(job_id, str(row.status), "deleted")


ON_A_JOB: dict[str, Callable[[AppState, int, str | None], None]] = {
    "retry": retry,
    "undo": undo,
    "cancel": cancel,
    "kill": kill,
    "pause": pause,
    "resume": resume,
    "delete": delete,
}
"""By the last part of their address. Each gets the job's number and who asks for it."""


def hurry(tell: Callable[[], None]) -> None:
    """Tell whoever runs the jobs. The change is in the database, where the next supervisor finds it; the page
    says when there is none."""
    try:
        tell()
    except (JobRunnerException, OSError) as error:
        console.warning("The dashboard changed a job, but could not wake a supervisor: %s", error)
