"""The local backend: a detached supervisor on this host, which comes with the first job."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from bgjobs.app_state import AppState
from bgjobs.role import role
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.doorbell import ring
from bgjobs.supervisor.launcher import launch_supervisor


class LocalBackend:
    """Wakes the supervisor, and starts one where there is none (unless ``BGJOBS_AUTOSTART`` is off)."""

    def __init__(self, state: AppState) -> None:
        self._state = state

    def prepare(self) -> None:
        """Refuse before anything is written what could not be carried on. Raises
        :class:`~bgjobs.exceptions.ConfigurationError`."""
        self._state.folder  # noqa: B018 - it is created and checked at its first use

    def dispatched(self, job_ids: Sequence[int]) -> None:
        self.wake()

    def wake(self) -> None:
        if not ring(self._state.folder.path) and self._state.settings.autostart:
            launch_supervisor(self._config)

    @cached_property
    def _config(self) -> SupervisorConfig:
        if role() == "web":
            # Only now: at set-up, the variable that holds the application was not assigned yet.
            self._state.location = self._state.location.seen_running(self._state.app)
        return SupervisorConfig.of(self._state)
