"""A page that stands in the bar at the top."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """Its name, its endpoint (as ``url_for`` takes it in the blueprint), and the key that follows ``g``."""

    title: str
    endpoint: str
    key: str
