"""The supervisor as a detached process."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import NoReturn

from bgjobs.custom_logger import console
from bgjobs.fail_points import ARMED, reach
from bgjobs.processes.server import Ahead
from bgjobs.role import become
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.doorbell import ring
from bgjobs.supervisor.lock import FileLock
from bgjobs.supervisor.supervisor import Supervisor

# The one before us may be finishing: it frees the lock within its grace period.
_EXTRA_PATIENCE = 5.0


def main(descriptor: int, ahead: Ahead | None = None) -> NoReturn:
    """Read the order from standard input, become the supervisor if there is none, and see to the jobs.

    ``ahead`` is a fork server that is coming up at the same time.
    """
    order = json.load(sys.stdin)
    held = order.pop("launch_lock")
    config = SupervisorConfig.from_json(order)
    launch_lock = FileLock.inherited(config.state_folder.launch_lock, held)
    become("supervisor")
    os.umask(0o077)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    console.setLevel(logging.WARNING)  # what happens to jobs stands in the log files
    if ARMED:
        reach("boot.before_lock")
    lock = lock_when_free(config, launch_lock)
    if lock is None:
        sys.exit(0)
    sys.exit(Supervisor(config, lock, on_listening=launch_lock.release, ahead=ahead).run())


def lock_when_free(config: SupervisorConfig, launch_lock: FileLock) -> FileLock | None:
    """The supervisor's lock; None when another supervisor has it and answers its doorbell."""
    lock = FileLock(config.state_folder.lock)
    deadline = time.monotonic() + config.kill_grace + _EXTRA_PATIENCE
    while not lock.acquire():
        if time.monotonic() > deadline:
            return None
        if ring(config.folder):
            # Whoever found nobody at the door while we held the launch lock went away and relies on us. So we
            # leave only when somebody answers after we let go of it, or when the next one has taken it.
            launch_lock.release()
            if ring(config.folder) or not launch_lock.acquire():
                return None
        time.sleep(0.01)
    return lock
