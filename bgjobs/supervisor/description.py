"""What a supervisor says of itself: to those of its own host in a file, to others with its lease."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import Any

from bgjobs import clock
from bgjobs.processes.identity import ProcessIdentity
from bgjobs.processes.pool import Pool
from bgjobs.redaction import mask_urls, shorten
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.status import SupervisorStatus
from bgjobs.version import version

_LONGEST_ERROR = 500


class Description:
    """Of one supervisor. ``database`` is the URL without its password, ``processes`` how many jobs it runs at
    once."""

    def __init__(self, config: SupervisorConfig, pool: Pool, own: ProcessIdentity, database: str) -> None:
        self._config = config
        self._pool = pool
        self._own = own
        self._database = database
        self._started_at = clock.now().isoformat()
        self._written: SupervisorStatus | None = None
        self.processes = config.processes

    def write(self) -> None:
        """Write down how it goes, when that is news."""
        status = self.status()
        if status != self._written:
            with contextlib.suppress(OSError):  # the disk is full; it is tried again the next time
                status.write(self._config.state_folder)
                self._written = status

    def for_others(self) -> dict[str, Any]:
        """What other hosts show of this one. Why the application cannot be loaded is told here in full, and there
        in a line: it quotes its code."""
        told = asdict(self.status())
        error = (self._pool.app_error or "").strip().rpartition("\n")[2]
        return {**told, "app_error": shorten(mask_urls(error), _LONGEST_ERROR) or None}

    def status(self) -> SupervisorStatus:
        """Who we are and how it goes."""
        own, server = self._own, self._pool.server
        return SupervisorStatus(
            host=own.host,
            boot_id=own.boot_id,
            pid_namespace=own.pid_namespace,
            pid=own.pid,
            process_started=own.started,
            started_at=self._started_at,
            database=self._database,
            backend=self._config.backend,
            processes=self.processes,
            start_method=self._pool.start_method,
            fork_server_pid=None if server is None else server.pid,
            warning=self._pool.warning,
            app_error=self._pool.app_error,
            load_order=self._config.load_order(),
            version=version(),
        )
