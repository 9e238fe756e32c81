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
            return status_of(json.load(file))
    except (OSError, ValueError):
        return None


def status_of(data: Any) -> SupervisorStatus | None:
    """What a supervisor said, maybe one of another version; None for what cannot be such a thing."""
    if not isinstance(data, dict):
        return None
    try:
        status = SupervisorStatus(**{name: data[name] for name in SupervisorStatus.__slots__ if name in data})
    except TypeError:
        return None
    numbers, texts = (status.pid, status.processes), (status.host, status.boot_id, status.pid_namespace)
    is_sound = all(isinstance(item, int) for item in numbers) and all(isinstance(item, str) for item in texts)
    return status if is_sound else None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
