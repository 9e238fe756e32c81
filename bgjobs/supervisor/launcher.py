"""Starts a supervisor where there is none. Twenty callers at once start one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from typing import IO

from bgjobs.processes import launch
from bgjobs.processes.server import AHEAD
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.doorbell import ring
from bgjobs.supervisor.lock import FileLock
from bgjobs.supervisor.status import SupervisorStatus, supervisor_status

# A log that nobody reads must not fill the disk: it starts anew, keeping one old file.
_LOG_LIMIT = 1024 * 1024
# A supervisor that was told to leave stops listening at its next turn.
_LEAVES_WITHIN = 2.0


def wake_or_launch(config: SupervisorConfig) -> None:
    """Wake the supervisor, or start one if none listens.

    What the caller committed before is seen in either case: by the one that was woken, or by the one that
    comes up, which looks at the database when it has opened its doorbell.
    """
    if not ring(config.folder):
        launch_supervisor(config)


def launch_supervisor(config: SupervisorConfig) -> None:
    """Start a supervisor, unless somebody is just starting one."""
    folder = config.state_folder
    lock = FileLock(folder.launch_lock)
    if not lock.acquire():
        return
    assert lock.descriptor is not None
    try:
        # The lock goes on in the new process, until its doorbell is open or it is dead.
        order = json.dumps({**config.to_json(), "launch_lock": lock.descriptor}).encode()
        with _log(folder.log) as log:
            midwife = launch.start(
                "bgjobs.supervisor.main",
                "supervisor",
                detach=True,
                stdin=subprocess.PIPE,
                output=log.fileno(),
                keep_open=[lock.descriptor],
                ahead=AHEAD,
            )
        midwife.communicate(order)
    finally:
        lock.release()


def has_made_room(config: SupervisorConfig) -> bool:
    """Whether a supervisor has left that goes by old settings: it runs jobs for another backend, or it cannot load
    the application and this process says otherwise how to."""
    status = supervisor_status(config.state_folder)
    if status is None or not (status.backend != config.backend or _cannot_load_otherwise(status, config)):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(status.pid, signal.SIGTERM)
    deadline = time.monotonic() + _LEAVES_WITHIN
    while listening := ring(config.folder):
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return not listening


def _cannot_load_otherwise(status: SupervisorStatus, config: SupervisorConfig) -> bool:
    return status.app_error is not None and status.load_order != config.load_order()


def _log(path: str) -> IO[bytes]:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    if os.path.exists(path) and os.path.getsize(path) > _LOG_LIMIT:
        os.replace(path, f"{path}.old")
    return os.fdopen(os.open(path, flags, 0o600), "ab")
