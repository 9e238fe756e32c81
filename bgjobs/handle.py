"""``JobHandle``: a dispatched job in the hands of whoever dispatched it."""

from __future__ import annotations

import time

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from bgjobs import lookups, pausing
from bgjobs.app_state import AppState
from bgjobs.dashboard.progress.views import accepted
from bgjobs.exceptions import JobWaitTimeout
from bgjobs.models import UNFINISHED, JobLog
from bgjobs.transactional import tell

_FIRST_LOOK, _LONGEST_LOOK = 0.005, 0.25


class JobHandle:
    """A dispatched job: its values as they were last read. ``refresh()`` reads them anew."""

    def __init__(
        self,
        state: AppState,
        job_id: int,
        status: str,
        retry_count: int,
        error_message: str | None = None,
    ) -> None:
        self._state = state
        self.id = job_id
        self.status = status
        self.retry_count = retry_count
        self.error_message = error_message

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        return f"<JobHandle {self.id} {self.status}>"

    def refresh(self) -> JobHandle:
        """Read the job anew and return this handle. Raises :class:`~bgjobs.exceptions.JobNotFound`, also
        while the transaction that stores the job is not committed."""
        with self._state.store.database.reading() as connection:
            row = lookups.job_row(connection, self.id)
        self.status, self.retry_count, self.error_message = row.status, row.retry_count, row.error_message
        return self

    def wait(self, timeout: float | None = None) -> JobHandle:
        """Wait until the job is completed, failed or cancelled, and return this handle, refreshed.

        Raises :class:`~bgjobs.exceptions.JobWaitTimeout` after ``timeout`` seconds (None: never).
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_LOOK
        while self.refresh().status in UNFINISHED:
            left = pause if deadline is None else deadline - time.monotonic()
            if left <= 0:
                assert timeout is not None
                raise JobWaitTimeout(self.id, self.status, timeout)
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_LOOK)
        return self

    def cancel(self) -> JobHandle:
        """Cancel the job if it is pending, ask it to stop if it runs, and return this handle.

        Raises :class:`~bgjobs.exceptions.InvalidTransition` when it has ended already.
        """
        self.status = self._state.store.cancel(self.id, by="the application")
        tell(self._state.backend.wake)
        return self

    def pause(self) -> JobHandle:
        """Hold up the running job, with everything it started; its timeout stands still. Returns this handle.

        Raises :class:`~bgjobs.exceptions.InvalidTransition` when it does not run, or is paused already.
        """
        pausing.pause(self._state.store, self.id, by="the application")
        tell(self._state.backend.wake)
        return self

    def resume(self) -> JobHandle:
        """Let the paused job go on, and return this handle. Raises as :meth:`pause` does."""
        pausing.resume(self._state.store, self.id, by="the application")
        tell(self._state.backend.wake)
        return self

    def accepted(self, *, result: bool = False) -> Response:
        """The answer 202 to the request that asked for this job, with the address of its progress in
        ``Location``: a fragment for HTMX, a small page for a browser, JSON for everybody else.

        The address is signed for this job. Whoever has it sees state and progress; with ``result=True``, the
        result or the error, too. Raises :class:`~bgjobs.exceptions.ConfigurationError` without ``SECRET_KEY``.
        """
        return accepted(self._state, self.id, with_result=result)

    def logs(self) -> list[JobLog]:
        """The records of this job, the oldest first."""
        with self._state.store.database.reading() as connection, Session(bind=connection) as session:
            found = session.scalars(
                select(JobLog).where(JobLog.background_job_id == self.id).order_by(JobLog.id)
            ).all()
            session.expunge_all()
            return list(found)
