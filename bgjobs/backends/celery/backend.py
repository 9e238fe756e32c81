"""The side of who dispatches: a committed row is all that it takes, and no broker is asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from bgjobs.app_state import AppState
from bgjobs.exceptions import ConfigurationError
from bgjobs.role import role
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.doorbell import DISPATCHER, ring
from bgjobs.supervisor.launcher import wake_or_launch


class CeleryBackend:
    """Tells whoever is on this host. Others see the row by themselves, so a dispatch succeeds while the broker is
    down."""

    def __init__(self, state: AppState) -> None:
        self._state = state

    def prepare(self) -> None:
        """Refuse before anything is written what no worker could run. Raises
        :class:`~bgjobs.exceptions.ConfigurationError`."""
        check(self._state)
        self._state.folder  # noqa: B018 - it is created and checked at its first use

    def dispatched(self, job_ids: Sequence[int]) -> None:
        ring(self._state.folder.path, DISPATCHER)

    def wake(self) -> None:
        if role() in ("fork server", "job"):  # they have lost their supervisor, and a worker may be gone as well
            wake_or_launch(self._config)
            return
        ring(self._state.folder.path)
        ring(self._state.folder.path, DISPATCHER)

    @cached_property
    def _config(self) -> SupervisorConfig:
        return SupervisorConfig.of(self._state)


def check(state: AppState) -> None:
    """Raise :class:`ConfigurationError` where this backend cannot work with the settings."""
    if state.database_url.get_backend_name() == "sqlite":
        raise ConfigurationError(
            "The celery backend runs jobs on several machines, and an SQLite database is a file on one of them. "
            "Set BGJOBS_DATABASE_URI to a PostgreSQL or MariaDB database, or BGJOBS_BACKEND to local.",
            setting="BGJOBS_BACKEND",
        )
    if state.settings.broker_url is None and "celery" not in state.app.extensions:
        raise ConfigurationError(
            "The celery backend has no broker. Set BGJOBS_BROKER_URL, for example to redis://127.0.0.1:6379/0, or "
            'put the Celery application in app.extensions["celery"].',
            setting="BGJOBS_BROKER_URL",
        )
