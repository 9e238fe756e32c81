"""What a running job says of itself: on its way to the supervisor, or to the database when that is gone."""

from __future__ import annotations

import contextlib

from bgjobs.app_state import AppState
from bgjobs.deadlocks import outlasting_deadlocks
from bgjobs.processes.channel import Channel
from bgjobs.runner.outcome import Execution
from bgjobs.store import Changes


class Reporter:
    """Passes on what a job says: to the supervisor, or to the database when the supervisor is gone."""

    def __init__(self, channel: Channel, state: AppState, job: Execution) -> None:
        self._channel = channel
        self._state = state
        self._job = job

    @outlasting_deadlocks
    def progress(self, done: float, total: float | None, message: str | None) -> None:
        if not self._channel.send({"progress": [done, total, message], "token": self._job.token}):
            with self._changing() as changes:
                changes.progress(self._job, done, total, message)

    def log(self, message: str) -> None:
        if not self._channel.send({"log": message, "token": self._job.token}):
            with self._changing() as changes:
                changes.log(self._job, message)

    def cancel_requested(self) -> bool:
        return False  # it comes as SIGTERM, which interrupts the job

    def _changing(self) -> contextlib.AbstractContextManager[Changes]:
        return self._state.store_with(pooled=False).changing()
