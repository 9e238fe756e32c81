"""The family of errors. Each says what was wrong and what to do about it.

The values an error speaks of are its attributes; nobody has to parse a message.
"""

from __future__ import annotations

import datetime


class JobRunnerException(Exception):
    """A background job could not be dispatched, run or changed."""


class ConfigurationError(JobRunnerException):
    """A setting is unknown or its value cannot work. ``setting`` names it where there is one."""

    def __init__(self, message: str, *, setting: str | None = None) -> None:
        super().__init__(message)
        self.setting = setting


class BackendUnavailable(JobRunnerException):
    """The database or the backend does not answer. Nothing was written: the call can be repeated."""


class Deadlock(BackendUnavailable):
    """Two who changed the same rows waited for each other, and the database ended this one's transaction."""


class DatabaseDamaged(BackendUnavailable):
    """The database's file is damaged. To repeat the call does not help: the file has to be mended or restored."""


class ClassNotApproved(JobRunnerException):
    """The class is not in the list of approved classes."""

    def __init__(self, class_name: str) -> None:
        super().__init__(
            f"{_shown(class_name)} is not an approved job class. Approve it with @jobs.approve on the class, "
            "in the runner's approved_classes or in BGJOBS_APPROVED_CLASSES."
        )
        self.class_name = class_name


class MethodNotApproved(JobRunnerException):
    """The method is not one that may be called on this class."""

    def __init__(self, class_name: str, method_name: str, reason: str) -> None:
        super().__init__(
            f"{_shown(class_name)}::{_shown(method_name)} may not run as a job: {reason}. "
            "Dispatch a public method that the approved class defines itself."
        )
        self.class_name = class_name
        self.method_name = method_name
        self.reason = reason


class InvalidParameters(JobRunnerException):
    """The parameters or options of a dispatch cannot be stored or do not fit the method."""

    def __init__(self, reason: str, *, path: str = "parameters") -> None:
        super().__init__(f"{_shown(path)}: {reason}")
        self.reason = reason
        self.path = path


class EnqueueWouldDeadlock(JobRunnerException):
    """The caller's own open transaction holds the write lock that this dispatch would wait for."""

    def __init__(self) -> None:
        super().__init__(
            "db.session holds the write lock of this SQLite file, so the dispatch would wait for itself. "
            "Pass session=db.session to store the job in the same transaction, or commit first."
        )


class QueueFull(JobRunnerException):
    """``BGJOBS_MAX_PENDING`` jobs are waiting already."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} jobs are pending, which is the limit set by BGJOBS_MAX_PENDING. "
            "Dispatch again later, or raise the limit."
        )
        self.limit = limit


class JobNotFound(JobRunnerException):
    """There is no job with this id."""

    def __init__(self, job_id: object) -> None:
        super().__init__(f"There is no job {_shown(str(job_id))}. It may have been removed: list the jobs.")
        self.job_id = job_id


class InvalidTransition(JobRunnerException):
    """The job is not in a state from which this can be done."""

    def __init__(
        self, job_id: int, status: str, action: str, *, ended_at: datetime.datetime | None = None
    ) -> None:
        super().__init__(
            f"Job {job_id} is {status}, so it cannot be {action}; nothing was changed. Look at its page."
        )
        self.job_id = job_id
        self.status = status
        self.action = action
        self.ended_at = ended_at  # where it was too late, because the job has ended


class JobTimedOut(JobRunnerException):
    """The job ran longer than its timeout, in seconds."""

    def __init__(self, timeout: float | None = None) -> None:
        limit = "its timeout" if timeout is None else f"its timeout of {timeout:g} s"
        super().__init__(f"The job ran longer than {limit}. Raise timeout, or split the work.")
        self.timeout = timeout


class JobMemoryExceeded(JobRunnerException):
    """The job used more memory than its limit, in bytes."""

    def __init__(self, limit: int, used: int) -> None:
        super().__init__(
            f"The job used {used / 2**20:,.0f} MiB of memory, and its limit is {limit / 2**20:,.0f} MiB. "
            "Raise memory, or let it hold less at a time."
        )
        self.limit = limit
        self.used = used


class JobCancelled(JobRunnerException):
    """Somebody asked the job to stop. Raised inside the job, so that its ``finally`` blocks run."""

    def __init__(self, message: str = "The job was asked to stop.") -> None:
        super().__init__(message)


class JobProcessLost(JobRunnerException):
    """The process of a job ended without reporting how the job went."""

    def __init__(self, message: str, *, exit_status: int | None = None) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class JobWaitTimeout(JobRunnerException):
    """The job had not ended when the time to wait for it was over. The job goes on."""

    def __init__(self, job_id: int, status: str, timeout: float) -> None:
        super().__init__(
            f"Job {job_id} was still {status} after {timeout:g} s. It goes on: wait again, or look at its page."
        )
        self.job_id = job_id
        self.status = status
        self.timeout = timeout


def _shown(text: str) -> str:
    """A name given by a caller, short and printable: it may be hostile and it may be 10 kB long."""
    printable = text.encode("unicode_escape").decode("ascii")
    return f"{printable[:80]}…" if len(printable) > 80 else printable or "''"
