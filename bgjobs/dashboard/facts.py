"""A list of facts: what most pages have beside their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bgjobs.dashboard.formats import Moment


@dataclass(frozen=True, slots=True)
class Fact:
    """A name, and its value: a text, a moment with the text after it, or the numbers of other jobs."""

    name: str
    text: str = ""
    moment: Moment | None = None
    jobs: Sequence[int] = ()
