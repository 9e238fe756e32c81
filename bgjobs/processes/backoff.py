"""Trying again what did not work: after a second, then twice as long each time, up to half a minute."""

from __future__ import annotations

import time

_FIRST, _LONGEST = 1.0, 30.0


class Backoff:
    """When the next try may be made."""

    def __init__(self) -> None:
        self._seconds = _FIRST
        self._until = 0.0

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._until

    def begin(self) -> None:
        """It did not work: the next try waits, twice as long as the one before."""
        self._until = time.monotonic() + self._seconds
        self._seconds = min(self._seconds * 2, _LONGEST)

    def end(self) -> None:
        """The next try may be made at once; one that fails waits as long as it would have."""
        self._until = 0.0

    def reset(self) -> None:
        """It worked: the next failure is a first one."""
        self._seconds = _FIRST
