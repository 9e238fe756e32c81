"""What every page looks at first: the moment, what is going on, and who runs it."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from bgjobs.app_state import AppState, app_state
from bgjobs.dashboard.access import allowed
from bgjobs.dashboard.htmx import tag_of
from bgjobs.dashboard.notices import Alarm, Health, health
from bgjobs.dashboard.pulse import Pulse, pulse
from bgjobs.locations import static_folder, templates_folder

_alarm = Alarm()


@dataclass(frozen=True, slots=True)
class Glance:
    """One look at the jobs of an application."""

    state: AppState
    now: datetime
    pulse: Pulse
    health: Health

    def reading(self) -> AbstractContextManager[Connection]:
        return self.state.store.database.reading()

    def tag(self, *parts: Any) -> str:
        """A tag for what is made of this look and ``parts``. The time is not in it: the words that follow
        the clock are kept current in the browser."""
        return tag_of(assets_version(), self.health, sorted(allowed()), *parts)


def glance() -> Glance:
    state, now = app_state(), datetime.now(UTC)
    with state.store.database.reading() as connection:
        beat = pulse(connection)
    return Glance(state, now, beat, health(state, beat, _alarm, now))


@cache
def assets_version() -> str:
    """What tells these templates and static files from those of another version."""
    digest = hashlib.sha256()
    for folder in (Path(templates_folder(), "bgjobs"), Path(static_folder())):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
