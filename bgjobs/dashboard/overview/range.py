"""How far back the overview looks, and into how many points that is cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Range:
    """``minutes`` in points of ``step`` minutes. ``key`` stands in the address."""

    key: str
    words: str
    minutes: int
    step: int
    step_words: str

    @property
    def points(self) -> int:
        return self.minutes // self.step

    @property
    def kept(self) -> dict[str, Any]:
        """What of it stands in the query string; nothing for the default."""
        return {} if self is RANGES[0] else {"range": self.key}

    def first_minute(self, now: int) -> int:
        """Where the first point begins, so that the last one is under way at minute ``now``. Points begin at
        round minutes: an hour that was rolled up lies in one of them as a whole."""
        return now // self.step * self.step - self.minutes + self.step


RANGES = (
    Range("1h", "last hour", 60, 1, "minute"),
    Range("6h", "last 6 hours", 6 * 60, 5, "5 minutes"),
    Range("24h", "last 24 hours", 24 * 60, 15, "15 minutes"),
    Range("7d", "last 7 days", 7 * 24 * 60, 120, "2 hours"),
)


def range_of(args: Mapping[str, str]) -> Range:
    """The range that an address asks for; the shortest where it names none of them."""
    return next((one for one in RANGES if one.key == args.get("range")), RANGES[0])
