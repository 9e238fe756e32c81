"""A running job as its supervisor sees it, and the ladder by which it is stopped: SIGTERM, then SIGKILL."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bgjobs.exceptions import JobCancelled, JobMemoryExceeded, JobRunnerException, JobTimedOut
from bgjobs.processes import signals
from bgjobs.processes.identity import ProcessIdentity
from bgjobs.processes.process import Process
from bgjobs.runner.lost import Traces, lost, told_of
from bgjobs.runner.outcome import Execution, Outcome

StopReason = Literal["cancel", "kill", "timeout", "memory"]


_NOTHING_SEEN = Outcome("lost")


@dataclass(eq=False, slots=True)
class RunningJob:
    """One execution in one process. ``process`` is None for a job that an earlier supervisor started."""

    job: Execution
    identity: ProcessIdentity
    process: Process | None
    deadline: float | None  # of its timeout, on the monotonic clock
    has_begun: bool = True  # False while it waits in its process for the jobs before it
    stop_reason: StopReason | None = None
    stopped_by: str | None = None  # who cancelled or killed it
    kill_at: float | None = None
    killed: bool = False
    progress: Any = None  # what it said last, as it came
    paused_at: float | None = None  # on the monotonic clock
    memory_used: int = 0  # the most that was seen beyond its limit
    started: float = field(default_factory=time.monotonic)
    seen: Outcome = _NOTHING_SEEN  # what it used so far, as far as somebody looked

    @property
    def next_step_at(self) -> float | None:
        """When the ladder has to be looked at again."""
        if self.stop_reason is None:
            return self.deadline if self.paused_at is None else None
        return None if self.killed else self.kill_at

    def climb(self, grace: float, now: float | None = None) -> None:
        """Do what is due: stop a job whose time is over, kill one that did not stop."""
        now = time.monotonic() if now is None else now
        if self.stop_reason is None and self.deadline is not None and now >= self.deadline:
            if self.paused_at is None:
                self.stop("timeout", grace, now)
        elif self.kill_at is not None and not self.killed and now >= self.kill_at:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to the job and everything it started."""
        self.killed = True
        signals.kill(self.identity)

    def kill_for(self, by: str | None) -> None:
        """Kill it because ``by`` wants that, whatever it was being stopped for."""
        self.stop_reason, self.stopped_by, self.paused_at = "kill", by, None
        self.kill()

    def stop(self, reason: StopReason, grace: float, now: float | None = None, *, by: str | None = None) -> None:
        """Ask the job to stop. A second reason changes nothing. ``by`` is who cancelled it."""
        if self.stop_reason is None:
            self.stop_reason, self.stopped_by = reason, by
            if self.process is not None:
                # By name and before the signal: a process with several jobs in hand must not stop another one.
                self.process.channel.send({"stop": self.job.token})
            if self.has_begun:
                self.kill_at = (time.monotonic() if now is None else now) + grace
                signals.terminate(self.identity)
                if self.paused_at is not None:  # who is held up does not hear of it
                    signals.go_on(self.identity)
            self.paused_at = None

    def begin(self, grace: float) -> None:
        """The jobs before it have ended: its process runs it now."""
        self.started = time.monotonic()
        self.has_begun = True
        if self.stop_reason is not None:
            self.kill_at = self.started + grace
        elif self.job.timeout is not None:
            self.deadline = self.started + self.job.timeout
        if self.paused_at is not None:
            self.paused_at = self.started
            signals.hold(self.identity)

    def pause(self) -> None:
        """Hold it up, and its clock with it. One that is being stopped is not held up any more."""
        if self.stop_reason is None and self.paused_at is None:
            self.paused_at = time.monotonic()
            if self.has_begun:  # else the job before it would be held up
                signals.hold(self.identity)

    def resume(self) -> None:
        """Let it go on, with as much time left as it had."""
        if self.paused_at is not None:
            if self.deadline is not None:
                self.deadline += time.monotonic() - self.paused_at
            self.paused_at = None
            if self.has_begun:
                signals.go_on(self.identity)

    def note_usage(self, rss: int, cpu_seconds: float) -> None:
        """Remember what it uses, for the case that nobody sees how it ends."""
        self.seen = Outcome("lost", peak_rss=max(rss, self.seen.peak_rss or 0), cpu_seconds=cpu_seconds)

    def reported(self, outcome: Outcome) -> Outcome:
        """The outcome that the process reported, read with what we know of why it was stopped."""
        if outcome.kind not in ("stopped", "timed_out"):
            return outcome
        if self.stop_reason in ("timeout", "memory"):
            return self._beyond_its_limit(outcome)
        # Its own clock went on while it was held up, so what it took for its timeout may be a cancellation.
        return outcome._replace(kind="stopped", exception_type=None, exception_message=None, traceback=None)

    def ended(self, traces: Traces, usage: Outcome) -> Outcome:
        """The outcome of a process that ended without reporting one."""
        if self.stop_reason is None:
            return lost(self.job, traces, usage)
        traces = replace(traces, by_us=True)
        if self.stop_reason in ("cancel", "kill"):
            by = f" by {self.stopped_by}" if self.stopped_by else ""
            done = "Cancelled" if self.stop_reason == "cancel" else "Killed"
            told = told_of(traces, usage, f"{done}{by}: ")
            return told._replace(kind="stopped", exception_type=JobCancelled.__name__)
        beyond = self._beyond_its_limit(usage)
        told = told_of(traces, usage, f"{beyond.exception_message} It did not leave in an orderly way: ")
        return beyond._replace(**_what_is_told(told))

    def _beyond_its_limit(self, outcome: Outcome) -> Outcome:
        """The failure of a job that we stopped because it took too much time or memory."""
        policy, retry_count = self.job.policy, self.job.retry_count
        error: JobRunnerException = JobTimedOut(self.job.timeout)
        if self.stop_reason == "memory":
            error = JobMemoryExceeded((self.job.limits or {}).get("memory", 0), self.memory_used)
        return outcome._replace(
            kind="timed_out" if self.stop_reason == "timeout" else "failed",
            exception_type=type(error).__name__,
            exception_message=str(error),
            traceback=None,
            retry_in=policy.delay_after(retry_count) if policy.allows(retry_count) else None,
        )


def _what_is_told(outcome: Outcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in ("exit_status", "exception_message", "traceback")}
