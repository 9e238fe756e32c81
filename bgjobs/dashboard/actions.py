"""What the buttons do: a transition of the store, and a line in the story of the job that says who wanted it."""

from __future__ import annotations

from collections.abc import Callable

from bgjobs import by_hand
from bgjobs.app_state import AppState
from bgjobs.custom_logger import console
from bgjobs.exceptions import JobRunnerException


def retry(state: AppState, job_id: int, by: str | None) -> None:
    """Put a failed or cancelled job back to pending. Raises :class:`~bgjobs.exceptions.JobNotFound` and
    :class:`~bgjobs.exceptions.InvalidTransition`."""
    with state.store.changing() as changes:
        by_hand.retry(changes, job_id, by)
    try:
        state.backend.dispatched([job_id])
    except (JobRunnerException, OSError) as error:
        _not_told(error)


def cancel(state: AppState, job_id: int, by: str | None) -> None:
    """Cancel a pending job, or ask a running one to stop. Raises as :func:`retry` does."""
    with state.store.changing() as changes:
        by_hand.cancel(changes, job_id, by)
    try:
        state.backend.wake()
    except (JobRunnerException, OSError) as error:
        _not_told(error)


ON_A_JOB: dict[str, Callable[[AppState, int, str | None], None]] = {"retry": retry, "cancel": cancel}
"""By the last part of their address. Each gets the job's number and who asks for it."""


def _not_told(error: Exception) -> None:
    # The change is in the database, where the next supervisor finds it; the page says when there is none.
    console.warning("The dashboard changed a job, but could not wake a supervisor: %s", error)
