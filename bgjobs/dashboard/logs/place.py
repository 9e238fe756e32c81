"""On which page the log table stands: its links, its form and its poll stay there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import url_for


@dataclass(frozen=True, slots=True)
class Place:
    """An endpoint, and what else of its query string is to be kept."""

    endpoint: str
    kept: Mapping[str, Any] = field(default_factory=dict)

    def url(self, address: Mapping[str, Any] | None = None) -> str:
        """The address of the view of the table that ``address`` asks for."""
        return url_for(self.endpoint, **self.kept, **(address or {}))
