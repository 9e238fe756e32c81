"""What goes into a job process and what comes out of it: plain data that crosses a channel as JSON.

Named tuples and not frozen dataclasses, which set each field by a call that touches its name: in a process that
has just been forked, each name is a page to be copied.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

from bgjobs.exceptions import JobRunnerException
from bgjobs.limits import Limits
from bgjobs.retry import RetryDelay, RetryPolicy

Kind = Literal[
    "completed",
    "failed",  # an exception left the method, or the row was refused
    "timed_out",
    "cancelled",
    "stopped",  # SIGTERM: whether somebody cancelled it or it came from outside, the row will tell
    "lost",  # the process is gone without a word
    "released",  # the supervisor stopped before the job was done
]


class Execution(NamedTuple):
    """One claim of a job: what the process needs to run it, and the token that fences its outcome."""

    id: int
    class_name: str
    method_name: str
    parameters: Any
    retry_count: int
    max_retries: int
    retry_delay: RetryDelay
    timeout: float | None
    token: str
    attempt: int  # executions of the row so far, this one included
    limits: Limits | None = None

    @property
    def policy(self) -> RetryPolicy:
        return RetryPolicy(self.max_retries, self.retry_delay)

    def to_json(self) -> dict[str, Any]:
        """Its fields, by name."""
        return self._asdict()


class Outcome(NamedTuple):
    """How an execution ended. ``retry_in`` is the seconds until the next attempt, None for no further one."""

    kind: Kind
    result: Any = None
    exception_type: str | None = None
    exception_message: str | None = None
    traceback: str | None = None
    retry_in: float | None = None
    exit_status: int | None = None  # negative: the signal that ended the process
    peak_rss: int | None = None  # bytes
    cpu_seconds: float | None = None

    @property
    def error(self) -> str | None:
        """The error as one line of a log names it."""
        if self.exception_type is None:
            return None
        message = (self.exception_message or "").strip()
        return f"{self.exception_type}: {message}" if message else self.exception_type

    def to_json(self) -> dict[str, Any]:
        """What differs from the defaults: most outcomes are a kind and nothing else."""
        return {name: value for name, value in zip(self._fields, self, strict=True) if value is not None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcome:
        """What a job's process reported. The job's own code may have written to our channel: what is no
        outcome is a failure."""
        try:
            outcome = cls(**data)
            if outcome.kind in get_args(Kind):
                return outcome
        except TypeError:
            pass
        message = "the process of the job reported something that is no outcome"
        return cls("failed", exception_type=JobRunnerException.__name__, exception_message=message)
