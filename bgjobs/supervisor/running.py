"""A running job as its supervisor sees it, and the ladder by which it is stopped: SIGTERM, then SIGKILL."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Literal

from bgjobs.exceptions import JobCancelled, JobTimedOut
from bgjobs.processes import signals
from bgjobs.processes.identity import ProcessIdentity
from bgjobs.processes.pool import Process
from bgjobs.runner.lost import Traces, lost, told_of
from bgjobs.runner.outcome import Execution, Outcome

StopReason = Literal["cancel", "timeout"]


@dataclass(eq=False, slots=True)
class RunningJob:
    """One execution in one process. ``process`` is None for a job that an earlier supervisor started."""

    job: Execution
    identity: ProcessIdentity
    process: Process | None
    deadline: float | None  # of its timeout, on the monotonic clock
    stop_reason: StopReason | None = None
    stopped_by: str | None = None  # who cancelled it
    kill_at: float | None = None
    killed: bool = False
    progress: Any = None  # what it said last, as it came

    @property
    def next_step_at(self) -> float | None:
        """When the ladder has to be looked at again."""
        if self.stop_reason is None:
            return self.deadline
        return None if self.killed else self.kill_at

    def climb(self, grace: float, now: float | None = None) -> None:
        """Do what is due: stop a job whose time is over, kill one that did not stop."""
        now = time.monotonic() if now is None else now
        if self.stop_reason is None and self.deadline is not None and now >= self.deadline:
            self.stop("timeout", grace, now)
        elif self.kill_at is not None and not self.killed and now >= self.kill_at:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to the job and everything it started."""
        self.killed = True
        signals.kill(self.identity)

    def stop(self, reason: StopReason, grace: float, now: float | None = None, *, by: str | None = None) -> None:
        """Ask the job to stop. A second reason changes nothing. ``by`` is who cancelled it."""
        if self.stop_reason is None:
            self.stop_reason, self.stopped_by = reason, by
            self.kill_at = (time.monotonic() if now is None else now) + grace
            signals.terminate(self.identity)

    def reported(self, outcome: Outcome) -> Outcome:
        """The outcome that the process reported, read with what we know of why it was stopped."""
        if outcome.kind == "stopped" and self.stop_reason == "timeout":
            return self._timed_out(outcome)
        return outcome

    def ended(self, traces: Traces, usage: Outcome) -> Outcome:
        """The outcome of a process that ended without reporting one."""
        if self.stop_reason is None:
            return lost(self.job, traces, usage)
        traces = replace(traces, by_us=True)
        if self.stop_reason == "cancel":
            by = f" by {self.stopped_by}" if self.stopped_by else ""
            told = told_of(traces, usage, f"Cancelled{by}: ")
            return replace(told, kind="stopped", exception_type=JobCancelled.__name__)
        timed_out = self._timed_out(usage)
        told = told_of(traces, usage, f"{timed_out.exception_message} It did not leave in an orderly way: ")
        return replace(timed_out, **_what_is_told(told))

    def _timed_out(self, outcome: Outcome) -> Outcome:
        policy, retry_count = self.job.policy, self.job.retry_count
        return replace(
            outcome,
            kind="timed_out",
            exception_type=JobTimedOut.__name__,
            exception_message=str(JobTimedOut(self.job.timeout)),
            retry_in=policy.delay_after(retry_count) if policy.allows(retry_count) else None,
        )


def _what_is_told(outcome: Outcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in ("exit_status", "exception_message", "traceback")}
