"""What the supervisor tells of itself, in a file that the dashboard and the command line read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from bgjobs.processes.identity import ProcessIdentity
from bgjobs.state_folder import StateFolder


@dataclass(frozen=True, slots=True)
class SupervisorStatus:
    """The supervisor as it last described itself."""

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    process_started: str
    started_at: str  # ISO 8601, UTC
    database: str  # without its password
    backend: str
    processes: int
    start_method: str
    fork_server_pid: int | None = None
    warning: str | None = None
    app_error: str | None = None
    load_order: str = ""  # what app_error was met with
    version: str = ""

    @property
    def identity(self) -> ProcessIdentity:
        return ProcessIdentity(self.host, self.boot_id, self.pid_namespace, self.pid, self.process_started)

    def write(self, folder: StateFolder) -> None:
        """Replace the file as a whole: a reader sees the old or the new one."""
        temporary = f"{folder.status}.new"
        with open(temporary, "w", opener=_private) as file:
            json.dump(asdict(self), file)
        os.replace(temporary, folder.status)


def supervisor_status(folder: StateFolder) -> SupervisorStatus | None:
    """The status of the supervisor that lives, None where there is none."""
    status = last_status(folder)
    return status if status is not None and status.identity.judge() == "alive" else None


def last_status(folder: StateFolder) -> SupervisorStatus | None:
    """What the last supervisor said, whether it lives or not."""
    try:
        with open(folder.status) as file:
            data: dict[str, Any] = json.load(file)
        return SupervisorStatus(**data)
    except (OSError, ValueError, TypeError):
        return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
