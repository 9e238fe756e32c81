"""``run_background_job``: the public call, for one job and for many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session, scoped_session

from bgjobs import clock
from bgjobs.app_state import AppState, app_state
from bgjobs.custom_logger import console
from bgjobs.deadlocks import outlasting_deadlocks
from bgjobs.exceptions import InvalidParameters, JobRunnerException
from bgjobs.fail_points import ARMED, reach
from bgjobs.handle import JobHandle
from bgjobs.models import PENDING
from bgjobs.options import Options, new_job
from bgjobs.store import NewJob
from bgjobs.transactional import enqueue_in_session, refuse_to_wait_for_oneself, tell

_NAMED = ("class_name", "method_name", "parameters", "retry_count")


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
    memory: int | str | None = None,
    nice: int | None = None,
    output_max: int | str | None = None,
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
    :param memory: what the job and all that it starts may use together, in bytes or as ``"512M"``. Default no
        limit.
    :param nice: 0 to 19; the greater, the more it lets others go first. Default 0.
    :param output_max: bytes of its output that are kept, the newest ones. Default 1 MiB.
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
    options = Options(delay, run_at, queue, priority, max_retries, retry_delay, timeout, memory, nice, output_max)
    job = _checked(state, class_name, method_name, parameters, retry_count, options)
    return _enqueue(state, [job], session)[0]


def run_background_jobs(
    calls: Iterable[Mapping[str, Any] | Sequence[Any]], *, session: Session | scoped_session[Any] | None = None
) -> list[JobHandle]:
    """Dispatch many jobs in one transaction: all of them, or none where one is refused.

    :param calls: for each job the arguments of :func:`run_background_job`, by name in a dict, such as
        ``{"class_name": EmailNotification, "method_name": "send", "parameters": {"to": …}, "delay": 60}``, or
        the first three or four in a tuple, such as ``(EmailNotification, "send", {"to": …})``.
    :param session: as for :func:`run_background_job`, for all of them.

    Returns the handles in the order of ``calls``. Raises what :func:`run_background_job` raises; the
    ``calls[7]`` in the note of the error tells which call it was.
    """
    state = app_state()
    jobs = []
    for position, call in enumerate(calls):
        try:
            jobs.append(_checked(state, *_arguments(call)))
        except JobRunnerException as refusal:
            refusal.add_note(f"This was calls[{position}]; nothing was dispatched.")
            raise
    return _enqueue(state, jobs, session) if jobs else []


def _arguments(call: Any) -> tuple[Any, Any, Any, Any, Options]:
    """The arguments of one call of ``run_background_jobs``, as :func:`_checked` takes them."""
    if isinstance(call, Mapping):
        given = dict(call)
        named = [given.pop(name, None) for name in _NAMED]
        try:
            options = Options(**given)
        except TypeError:
            raise InvalidParameters(
                f"{', '.join(sorted(map(str, given)))[:200]}: not all of them are arguments of run_background_job",
                path="calls",
            ) from None
        return named[0], named[1], named[2], 0 if named[3] is None else named[3], options
    if isinstance(call, tuple | list) and 2 <= len(call) <= len(_NAMED):
        class_name, method_name, parameters, retry_count = (
            (*call, None, 0)[:4] if len(call) == 2 else (*call, 0)[:4]
        )
        return class_name, method_name, parameters, retry_count, Options()
    raise InvalidParameters("each is a dict, or a tuple of class, method and parameters", path="calls")


def _checked(
    state: AppState, class_name: Any, method_name: Any, parameters: Any, retry_count: Any, options: Options
) -> NewJob:
    """The job to store. Everything that can be refused is refused here."""
    job = new_job(
        state.approval.call(class_name, method_name, parameters),
        retry_count,
        options,
        runner=state.runner_class,
        settings=state.settings,
        now=clock.now(),
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
    return job


def _enqueue(
    state: AppState, jobs: Sequence[NewJob], session: Session | scoped_session[Any] | None
) -> list[JobHandle]:
    state.backend.prepare()
    if session is None:
        refuse_to_wait_for_oneself(state)
        job_ids = _store(state, jobs)
        if ARMED:
            reach("enqueue.after_commit")
        tell(state.backend.dispatched, job_ids)
    else:
        job_ids = enqueue_in_session(state, session, jobs)
    return [JobHandle(state, job_id, PENDING, job.retry_count) for job_id, job in zip(job_ids, jobs, strict=True)]


@outlasting_deadlocks
def _store(state: AppState, jobs: Sequence[NewJob]) -> list[int]:
    with state.store.changing() as changes:
        job_ids = changes.enqueue_all(jobs, max_pending=state.settings.max_pending)
        if ARMED:
            reach("enqueue.before_commit")
    return job_ids
