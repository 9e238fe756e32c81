"""The inline backend: a job runs in the calling process before the dispatch returns. For tests and scripts.

Same rows, same logs, same retries, but nobody waits: a delay is not waited for, and a timeout is not
enforced, because that takes a process to kill.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from bgjobs import lookups
from bgjobs.app_state import AppState
from bgjobs.deadlocks import outlasting_deadlocks
from bgjobs.models import PENDING
from bgjobs.processes.identity import own_identity
from bgjobs.runner.outcome import Execution, Outcome
from bgjobs.store import Store

_LOOK_INTERVAL = 0.5


class InlineBackend:
    """Runs each job at once, retries included."""

    def __init__(self, state: AppState) -> None:
        self._state = state

    def prepare(self) -> None:
        """Nothing has to be there."""

    def wake(self) -> None:
        """Nobody is asleep."""

    def dispatched(self, job_ids: Sequence[int]) -> None:
        for job_id in job_ids:
            while self._run(job_id) == PENDING:
                pass

    def _run(self, job_id: int) -> str | None:
        """Run one attempt; the status of the job after it, None if there was nothing to run."""
        store = self._state.store
        with self._state.app.app_context():
            runner = self._state.runner_class()
            job = _claim(store, job_id)
            if job is None:
                return None
            outcome = runner.run(job, self._state.approval, _InlineReporter(self._state, job))
        return _finish(store, job, outcome)


@outlasting_deadlocks
def _claim(store: Store, job_id: int) -> Execution | None:
    with store.changing() as changes:
        claimed = changes.claim([own_identity().columns()], backend="inline", job_ids=[job_id])
    return claimed[0] if claimed else None


@outlasting_deadlocks
def _finish(store: Store, job: Execution, outcome: Outcome) -> str | None:
    with store.changing() as changes:
        return changes.finish([(job, outcome)]).get(job.token)


class _InlineReporter:
    def __init__(self, state: AppState, job: Execution) -> None:
        self._store = state.store
        self._job = job
        self._look_at = 0.0

    @outlasting_deadlocks
    def progress(self, done: float, total: float | None, message: str | None) -> None:
        with self._store.changing() as changes:
            changes.progress(self._job, done, total, message)

    def log(self, message: str) -> None:
        with self._store.changing() as changes:
            changes.log(self._job, message)

    def cancel_requested(self) -> bool:
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + _LOOK_INTERVAL
        with self._store.database.reading() as connection:
            return self._job.id in lookups.cancel_requests(connection)
