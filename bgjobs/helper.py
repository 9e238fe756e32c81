"""``run_background_job``: the public call, and the handle it returns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from bgjobs import lookups
from bgjobs.app_state import AppState, app_state
from bgjobs.custom_logger import console
from bgjobs.exceptions import JobWaitTimeout
from bgjobs.models import PENDING, UNFINISHED, JobLog
from bgjobs.options import Options, new_job
from bgjobs.store import NewJob
from bgjobs.transactional import enqueue_in_session, refuse_to_wait_for_oneself, tell

_FIRST_LOOK, _LONGEST_LOOK = 0.005, 0.25


def run_background_job(
    class_name: type | str,
    method_name: str,
    parameters: dict[str, Any] | list[Any] | None = None,
    retry_count: int = 0,
    *,
    delay: float | timedelta | None = None,
    run_at: datetime | None = None,
    queue: str | None = None,
    priority: int | None = None,
    max_retries: int | None = None,
    retry_delay: float | Sequence[float] | Callable[[int], float] | None = None,
    timeout: float | None = None,
    session: Session | scoped_session[Any] | None = None,
) -> JobHandle:
    """Run a method of an approved class in a process of its own.

    :param class_name: the class, or its dotted name such as ``"app.jobs.EmailNotification"``.
    :param method_name: a public method that the class defines.
    :param parameters: a dict is spread as keyword arguments, a list as positional ones. A method whose only
        parameter is named ``params`` or ``parameters`` gets the dict whole. JSON, up to 64 KiB.
    :param retry_count: the number of the *current* retry, 0 for the first attempt. It is not the number of
        retries wanted: that is ``max_retries``.
    :param delay: seconds, or a timedelta, until the job may start.
    :param run_at: when the job may start: a datetime with a time zone. Instead of ``delay``.
    :param queue: a name of up to 100 letters, digits and ``_ . : -``. Default "default".
    :param priority: smaller runs first. Default 0.
    :param max_retries: retries after the first attempt. Default 3.
    :param retry_delay: seconds before a retry, a list with one value a retry, or a callable that gets the
        retry's number. Default 5.
    :param timeout: seconds after which an attempt is stopped. Default none.
    :param session: store the job in this session's transaction: it runs after the outermost commit, and a
        rollback removes it.

    An option that is not given is taken from the attribute of the same name of the job class, then from the
    runner, then from the settings.

    Whatever can be refused is refused before anything is written: raises
    :class:`~bgjobs.exceptions.ClassNotApproved`, :class:`~bgjobs.exceptions.MethodNotApproved`,
    :class:`~bgjobs.exceptions.InvalidParameters`, :class:`~bgjobs.exceptions.QueueFull`,
    :class:`~bgjobs.exceptions.EnqueueWouldDeadlock`, :class:`~bgjobs.exceptions.ConfigurationError` or
    :class:`~bgjobs.exceptions.BackendUnavailable`.
    """
    state = app_state()
    options = Options(delay, run_at, queue, priority, max_retries, retry_delay, timeout)
    job = new_job(
        state.approval.call(class_name, method_name, parameters),
        retry_count,
        options,
        runner=state.runner_class,
        settings=state.settings,
        now=datetime.now(UTC),
    )
    if 0 < job.max_retries <= job.retry_count:
        console.warning(
            "%s::%s was dispatched with retry_count=%s, which makes this its last attempt. "
            "retry_count is the number of the current retry; for %s retries pass max_retries=%s.",
            job.class_name,
            job.method_name,
            job.retry_count,
            job.retry_count,
            job.retry_count,
        )
    state.backend.prepare()
    if session is not None:
        return JobHandle(state, enqueue_in_session(state, session, job), PENDING, job.retry_count)
    return JobHandle(state, _enqueue(state, job), PENDING, job.retry_count)


def _enqueue(state: AppState, job: NewJob) -> int:
    refuse_to_wait_for_oneself(state)
    with state.store.changing() as changes:
        job_id = changes.enqueue(job, max_pending=state.settings.max_pending)
    tell(state.backend.dispatched, [job_id])
    return job_id


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
        self.status = self._state.store.cancel(self.id)
        tell(self._state.backend.wake)
        return self

    def logs(self) -> list[JobLog]:
        """The records of this job, the oldest first."""
        with self._state.store.database.reading() as connection, Session(bind=connection) as session:
            found = session.scalars(
                select(JobLog).where(JobLog.background_job_id == self.id).order_by(JobLog.id)
            ).all()
            session.expunge_all()
            return list(found)
