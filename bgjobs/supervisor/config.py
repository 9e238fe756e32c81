"""What a supervisor needs to know, as data: it does not load the application."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bgjobs.app_location import AppLocation, Expected
from bgjobs.processes.server import ServerConfig
from bgjobs.state_folder import StateFolder
from bgjobs.supervisor.retention import Retention, retention_of

if TYPE_CHECKING:  # the application is what a supervisor does not load
    from bgjobs.app_state import AppState


@dataclass(frozen=True, slots=True)
class SupervisorConfig:
    """Made from an application's state, sent to the supervisor through a pipe (it holds the database's
    password)."""

    app_name: str
    backend: str
    database_url: str
    folder: str
    log_dir: str
    redact: str
    location: AppLocation
    processes: int
    jobs_per_process: int
    start_method: str
    ready_within: float | None
    idle_timeout: float
    kill_grace: float
    output_max: int
    lease: float
    retention: Retention

    @classmethod
    def of(cls, state: AppState) -> SupervisorConfig:
        settings = state.settings
        return cls(
            app_name=state.app.name,
            backend=settings.backend,
            database_url=state.database_url.render_as_string(hide_password=False),
            folder=state.folder.path,
            log_dir=str(settings.log_dir),
            redact=settings.redact,
            location=state.location,
            processes=settings.processes,
            jobs_per_process=settings.jobs_per_process,
            start_method=settings.start_method,
            ready_within=settings.ready_within,
            idle_timeout=settings.idle_timeout,
            kill_grace=settings.kill_grace,
            output_max=settings.output_max,
            lease=settings.lease,
            retention=retention_of(settings),
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SupervisorConfig:
        location, retention = AppLocation.from_json(data["location"]), Retention(**data["retention"])
        return cls(**{**data, "location": location, "retention": retention})

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "location": self.location.to_json()}

    @property
    def state_folder(self) -> StateFolder:
        return StateFolder(self.folder)

    def for_servers(self, database: str) -> ServerConfig:
        """What the fork servers get of it. ``database`` is the URL without its password."""
        return ServerConfig(
            location=self.location,
            expected=Expected(self.app_name, database),
            folder=self.folder,
            start_method=self.start_method,
            jobs_per_process=self.jobs_per_process,
            ready_within=self.ready_within,
        )

    def load_order(self) -> str:
        """A hash of how the application is loaded and what it is expected to be."""
        order = [self.app_name, self.folder, self.location.to_json()]
        return hashlib.sha256(json.dumps(order).encode()).hexdigest()[:16]
