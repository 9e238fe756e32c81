"""Holds jobs to their limit of memory. Jobs that have none are not looked at.

By looking, not by ``RLIMIT_AS``: that limits addresses, not memory, and interpreters with a few libraries and
threads reserve gigabytes of them that they never touch; and it counts each process by itself, so a job could
use any amount by starting others. The price is that a job can use more for the length of a look.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from bgjobs.processes.measure import memory_beyond
from bgjobs.supervisor.running import RunningJob

LOOK_INTERVAL = 0.1
# Memory is everybody's, so who is beyond the limit gets less time to tidy up than who is cancelled.
GRACE = 2.0
# So many times the limit, and there is no time at all.
_TOO_MUCH = 2


class MemoryGuard:
    """Looks at the running jobs that have a limit, and stops those that are beyond it."""

    def __init__(self, kill_grace: float) -> None:
        self._grace = min(kill_grace, GRACE)
        self._guarded: list[RunningJob] = []
        self.next_look_at: float | None = None  # on the monotonic clock; None while there is nothing to guard

    def guard(self, running: RunningJob) -> None:
        """Look at this job from now on, if it has a limit."""
        if running.job.limits is not None and "memory" in running.job.limits:
            self._guarded.append(running)
            self.next_look_at = time.monotonic()

    def look_if_due(self, still_running: Collection[str]) -> None:
        """``still_running`` are the execution tokens of the jobs that have not ended."""
        if self.next_look_at is None or time.monotonic() < self.next_look_at:
            return
        self._guarded = [running for running in self._guarded if running.job.token in still_running]
        for running in self._guarded:
            self._look_at(running)
        self.next_look_at = time.monotonic() + LOOK_INTERVAL if self._guarded else None

    def _look_at(self, running: RunningJob) -> None:
        assert running.job.limits is not None
        limit = running.job.limits["memory"]
        used = memory_beyond(running.identity, limit)
        if used is None or running.killed:
            return
        running.memory_used = max(used, running.memory_used)
        running.stop("memory", self._grace)
        if used > _TOO_MUCH * limit:
            running.kill()
