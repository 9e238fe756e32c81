"""What a person does with jobs: one change for each, and a record that says who wanted it.

A :class:`Tally` tells of many at once: somebody else may have been quicker with some of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bgjobs.app_state import AppState
from bgjobs.deadlocks import outlasting_deadlocks
from bgjobs.exceptions import InvalidTransition, JobNotFound
from bgjobs.lookups import execution_of, existing, job_row
from bgjobs.removal import remove
from bgjobs.store import Changes
from bgjobs.transactional import tell

RETRY, CANCEL, DELETE = MANY_AT_ONCE = ("retry", "cancel", "delete")
"""The actions that several jobs can undergo at once."""

_DONE = {RETRY: "retried", CANCEL: "cancelled or asked to stop", DELETE: "deleted"}
_TOO_LATE = {
    RETRY: ("had neither failed nor been cancelled", "had neither failed nor been cancelled"),
    CANCEL: ("had ended already", "had ended already"),
    DELETE: ("has not ended", "have not ended"),
}


@dataclass(frozen=True, slots=True)
class Tally:
    """How many jobs an action was done to, for how many it was too late, and how many are not there any more."""

    done: int = 0
    too_late: int = 0
    gone: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.done + other.done, self.too_late + other.too_late, self.gone + other.gone)

    def words(self, action: str) -> str:
        """``2 retried, 1 had ended already``."""
        said = [f"{self.done:,} {_DONE[action]}"]
        if self.too_late:
            said.append(f"{self.too_late:,} {_TOO_LATE[action][self.too_late != 1]}")
        if self.gone:
            said.append(f"{self.gone:,} {'was' if self.gone == 1 else 'were'} not there any more")
        return ", ".join(said)


@outlasting_deadlocks
def act(state: AppState, action: str, job_ids: Sequence[int], by: str | None) -> Tally:
    """Do ``action`` to these jobs, in one transaction; to be called with some dozens at a time."""
    if action == DELETE:
        return _delete(state, job_ids, by)
    change = {RETRY: retry, CANCEL: cancel}[action]
    done, too_late, gone = [], 0, 0
    with state.store.changing() as changes:
        for job_id in sorted(job_ids):  # two that act on the same jobs do not wait for each other
            try:
                change(changes, job_id, by)
                done.append(job_id)
            except InvalidTransition:
                too_late += 1
            except JobNotFound:
                gone += 1
    if done and action == RETRY:
        tell(state.backend.dispatched, done)
    elif done:
        tell(state.backend.wake)
    return Tally(len(done), too_late, gone)


def retry(changes: Changes, job_id: int, by: str | None) -> None:
    changes.retry(job_id)
    note(changes, job_id, "Retried", by)


def cancel(changes: Changes, job_id: int, by: str | None) -> None:
    changes.cancel(job_id, by=on_the_dashboard(by))
    note(changes, job_id, "Cancelled", by)


def on_the_dashboard(by: str | None) -> str:
    """Who wants something, in the words of a record."""
    return f"{by} on the dashboard" if by else "somebody on the dashboard"


def note(changes: Changes, job_id: int, done: str, by: str | None) -> None:
    """A line in the story of the job."""
    job = execution_of(job_row(changes.connection, job_id), token="", attempt=0)
    changes.log(job, f"{done} on the dashboard{f' by {by}' if by else ''}")


def _delete(state: AppState, job_ids: Sequence[int], by: str | None) -> Tally:
    removed = remove(state, job_ids, on_the_dashboard(by)).jobs.total()
    with state.store.database.reading() as connection:
        left = len(existing(connection, job_ids))
    return Tally(removed, left, len(job_ids) - removed - left)
