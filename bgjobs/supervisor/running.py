"""A running job as its supervisor sees it, and the ladder by which it is stopped: SIGTERM, then SIGKILL."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

from bgjobs.exceptions import JobTimedOut
from bgjobs.processes import signals
from bgjobs.processes.identity import ProcessIdentity
from bgjobs.processes.pool import Process
from bgjobs.runner.lost import lost
from bgjobs.runner.outcome import Execution, Outcome

StopReason = Literal["cancel", "timeout"]


@dataclass(eq=False, slots=True)
class RunningJob:
    """One execution in one process. ``process`` is None for a job that an earlier supervisor started."""

    job: Execution
    identity: ProcessIdentity
    process: Process | None
    deadline: float | None  # of its timeout, on the monotonic clock
    has_begun: bool = True  # False while it waits in its process for the jobs before it
    stop_reason: StopReason | None = None
    kill_at: float | None = None
    killed: bool = False

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

    def stop(self, reason: StopReason, grace: float, now: float | None = None) -> None:
        """Ask the job to stop. A second reason changes nothing."""
        if self.stop_reason is None:
            self.stop_reason = reason
            if self.process is not None:
                # By name and before the signal: a process with several jobs in hand must not stop another one.
                self.process.channel.send({"stop": self.job.token})
            if self.has_begun:
                self.kill_at = (time.monotonic() if now is None else now) + grace
                signals.terminate(self.identity)

    def begin(self, grace: float) -> None:
        """The jobs before it have ended: its process runs it now."""
        now = time.monotonic()
        self.has_begun = True
        if self.stop_reason is not None:
            self.kill_at = now + grace
        elif self.job.timeout is not None:
            self.deadline = now + self.job.timeout

    def reported(self, outcome: Outcome) -> Outcome:
        """The outcome that the process reported, read with what we know of why it was stopped."""
        if outcome.kind == "stopped" and self.stop_reason == "timeout":
            return self._timed_out(outcome)
        return outcome

    def ended(self, exit_status: int | None, usage: Outcome, output: str) -> Outcome:
        """The outcome of a process that ended without reporting one."""
        if self.stop_reason == "timeout":
            return replace(self._timed_out(usage), exit_status=exit_status)
        if self.stop_reason == "cancel":
            return replace(usage, kind="stopped", exit_status=exit_status)
        return lost(self.job, exit_status, usage, output)

    def _timed_out(self, outcome: Outcome) -> Outcome:
        policy, retry_count = self.job.policy, self.job.retry_count
        return replace(
            outcome,
            kind="timed_out",
            exception_type=JobTimedOut.__name__,
            exception_message=str(JobTimedOut(self.job.timeout)),
            retry_in=policy.delay_after(retry_count) if policy.allows(retry_count) else None,
        )
