"""The points of the past, which do not change any more: read once, and then remembered by this process.

To put together a day of minutes takes some 100 ms; to look at the point that is under way, one or two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

from bgjobs.dashboard.overview.numbers import Numbers
from bgjobs.dashboard.overview.range import Range
from bgjobs.database import Database

# What ended in a minute is committed some seconds later at the latest; a database that is locked may take longer.
_SETTLED = 2


class Past:
    """The settled points of one database, by the width of a point and the minute at which it begins."""

    def __init__(self) -> None:
        self._settled: dict[int, dict[int, Numbers]] = {}
        self._minute = 0

    def points(self, looked_at: Range, minute: int, read: Callable[[int], Sequence[Numbers]]) -> Sequence[Numbers]:
        """All points of a range. ``read`` gives those from the one on that begins at a minute."""
        if minute < self._minute:  # somebody set the clock back: what was settled is not
            self._settled = {}
        self._minute = minute
        first = looked_at.first_minute(minute)
        starts = [first + looked_at.step * place for place in range(looked_at.points)]
        settled = range(first, minute - looked_at.step - _SETTLED + 1, looked_at.step)
        known = self._settled.get(looked_at.step, {})
        begin = next(start for start in starts if start not in settled or start not in known)
        found = {start: known[start] for start in starts if start < begin}
        found |= zip((start for start in starts if start >= begin), read(begin), strict=True)
        self._settled[looked_at.step] = {start: found[start] for start in settled}
        return list(found.values())


def past_of(database: Database) -> Past:
    return pasts.setdefault(database, Past())


pasts: WeakKeyDictionary[Database, Past] = WeakKeyDictionary()
