"""Where the application can be loaded from, as data: for a process that was not started by the user."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AppLocation:
    """Candidates for ``flask --app``, the surest first, and what they count from."""

    declared: tuple[str, ...]  # said by somebody: setting, command line, environment
    variables: tuple[str, ...]  # modules that hold the application
    factories: tuple[str, ...]  # functions that made it
    directory: str
    import_path: tuple[str, ...]

    @property
    def candidates(self) -> tuple[str, ...]:
        # The file of the script that was started comes last: loading it runs the script again.
        seen = sorted((*self.variables, *self.factories), key=os.path.isabs)
        return tuple(dict.fromkeys((*self.declared, *seen)))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AppLocation:
        lists: dict[str, Any] = {key: tuple(value) for key, value in data.items() if key != "directory"}
        return cls(**lists, directory=data["directory"])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the application was in the process that dispatched: it must be the same one where it is loaded."""

    name: str
    database: str  # the URL without its password
