"""A supervisor in the foreground, and the end of one."""

from __future__ import annotations

import os
import signal
import time

from bgjobs.app_search import seen_running
from bgjobs.app_state import AppState
from bgjobs.role import become
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.lock import FileLock
from bgjobs.supervisor.status import supervisor_status
from bgjobs.supervisor.supervisor import Supervisor

# How much longer than its grace period a supervisor may take to leave.
_EXTRA_PATIENCE = 5.0


def supervise(state: AppState) -> int | None:
    """Be the supervisor until told to stop; the exit status, or None when another one is at work."""
    state.location = seen_running(state.location, state.app)
    config = SupervisorConfig.of(state)
    lock = FileLock(config.state_folder.lock)
    if not lock.acquire():
        return None
    become("supervisor")
    return Supervisor(config, lock).run()


def stop(state: AppState) -> int | None:
    """Tell the supervisor to stop and wait until it has; its pid, None where none was running.

    Raises :class:`TimeoutError` when it does not leave in time.
    """
    status = supervisor_status(state.folder)
    if status is None:
        return None
    os.kill(status.pid, signal.SIGTERM)
    deadline = time.monotonic() + state.settings.kill_grace + _EXTRA_PATIENCE
    while status.identity.judge() == "alive":
        if time.monotonic() > deadline:
            raise TimeoutError(f"The supervisor (pid {status.pid}) has not left yet; it may wait for a job.")
        time.sleep(0.05)
    return status.pid
