"""The folder on this host through which the processes of one database find each other.

It holds the lock, the doorbell, the supervisor's log and status, and the output of the jobs. It belongs to
our user alone: whoever may write there may give us orders.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from bgjobs.exceptions import ConfigurationError


@dataclass(frozen=True, slots=True)
class StateFolder:
    """One folder for each database, below ``BGJOBS_STATE_DIR``."""

    path: str

    @classmethod
    def of(cls, state_dir: str, database: URL) -> StateFolder:
        """The folder for ``database``, named by a hash of its URL (without the password)."""
        name = hashlib.sha256(database.render_as_string(hide_password=True).encode()).hexdigest()[:16]
        return cls(os.path.join(state_dir, name))

    @property
    def lock(self) -> str:
        """Held by the supervisor as long as it lives; the kernel frees it at its death."""
        return os.path.join(self.path, "supervisor.lock")

    @property
    def launch_lock(self) -> str:
        """Held while a supervisor is being started, so that twenty callers start one."""
        return os.path.join(self.path, "launch.lock")

    @property
    def log(self) -> str:
        return os.path.join(self.path, "supervisor.log")

    @property
    def status(self) -> str:
        return os.path.join(self.path, "status.json")

    @property
    def output(self) -> str:
        """One file an attempt."""
        return f"{self.path}/output"

    def output_file(self, job_id: int, attempt: int) -> str:
        """Where the output of an attempt lies. Made of two numbers, never of what a job or a row says."""
        return f"{self.path}/output/{output_name(job_id, attempt)}"

    def prepare(self) -> StateFolder:
        """Create what is missing, and refuse a folder that somebody else could write to.

        Raises :class:`ConfigurationError`.
        """
        try:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.path, self.output):
                _make_private(folder)
        except OSError as error:
            raise ConfigurationError(
                f"The state folder {self.path} cannot be used: {error}. Set BGJOBS_STATE_DIR to a folder "
                "that the application may write to.",
                setting="BGJOBS_STATE_DIR",
            ) from error
        return self


def output_name(job_id: int, attempt: int) -> str:
    """The name of an attempt's output file."""
    return f"{int(job_id)}-{int(attempt)}.log"


def _make_private(folder: str) -> None:
    if not os.path.lexists(folder):
        Path(folder).mkdir(mode=0o700, exist_ok=True)
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise OSError("it is not a directory")
    if status.st_uid != os.geteuid():
        raise OSError(f"it belongs to user {status.st_uid}, not to {os.geteuid()}")
    if status.st_mode & 0o022:
        raise OSError(f"others may write to it (mode {stat.S_IMODE(status.st_mode):o})")
