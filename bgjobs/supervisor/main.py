"""The supervisor as a detached process."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import NoReturn

from bgjobs.custom_logger import console
from bgjobs.role import become
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.doorbell import ring
from bgjobs.supervisor.lock import FileLock
from bgjobs.supervisor.supervisor import Supervisor

# The one before us may be finishing: it frees the lock within its grace period.
_EXTRA_PATIENCE = 5.0


def main(descriptor: int) -> NoReturn:
    """Read the order from standard input, become the supervisor if there is none, and see to the jobs."""
    order = json.load(sys.stdin)
    launch_lock = FileLock.inherited("", order.pop("launch_lock"))
    config = SupervisorConfig.from_json(order)
    become("supervisor")
    os.umask(0o077)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    console.setLevel(logging.WARNING)  # what happens to jobs stands in the log files
    lock = lock_when_free(config)
    if lock is None:
        sys.exit(0)
    sys.exit(Supervisor(config, lock, on_listening=launch_lock.release).run())


def lock_when_free(config: SupervisorConfig) -> FileLock | None:
    """The supervisor's lock; None when another supervisor has it and answers its doorbell."""
    lock = FileLock(config.state_folder.lock)
    deadline = time.monotonic() + config.kill_grace + _EXTRA_PATIENCE
    while not lock.acquire():
        if ring(config.folder) or time.monotonic() > deadline:
            return None
        time.sleep(0.01)
    return lock
