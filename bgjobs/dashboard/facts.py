"""A list of facts: what most pages have beside their tables."""

from __future__ import annotations

from dataclasses import dataclass

from bgjobs.dashboard.formats import Moment


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and a value."""

    name: str
    text: str = ""
    moment: Moment | None = None
