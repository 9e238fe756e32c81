"""The local backend: a detached supervisor on this host, which comes with the first job."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from bgjobs.app_search import seen_running
from bgjobs.app_state import AppState
from bgjobs.role import role
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.doorbell import ring
from bgjobs.supervisor.launcher import has_made_room, launch_supervisor


class LocalBackend:
    """Wakes the supervisor, and starts one where there is none (unless ``BGJOBS_AUTOSTART`` is off)."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._met_supervisor = False

    def prepare(self) -> None:
        """Refuse before anything is written what could not be carried on. Raises
        :class:`~bgjobs.exceptions.ConfigurationError`."""
        self._state.folder  # noqa: B018 - it is created and checked at its first use

    def dispatched(self, job_ids: Sequence[int]) -> None:
        self.wake()

    def wake(self) -> None:
        listening = ring(self._state.folder.path)
        if not self._state.settings.autostart:
            return
        if not listening or self._is_met_unable():
            launch_supervisor(self._config)

    def _is_met_unable(self) -> bool:
        """Asked once: two processes that disagree must not send away each other's supervisors for ever."""
        first, self._met_supervisor = not self._met_supervisor, True
        return first and has_made_room(self._config)

    @cached_property
    def _config(self) -> SupervisorConfig:
        if role() == "web":
            # Only now: at set-up, the variable that holds the application was not assigned yet.
            self._state.location = seen_running(self._state.location, self._state.app)
        return SupervisorConfig.of(self._state)
