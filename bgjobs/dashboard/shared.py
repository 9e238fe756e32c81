"""What is the same for every reader is found out once in a while, by one of them, and kept for all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Shared(Generic[Value]):
    """Values by key, each found out at most once in ``seconds``; meanwhile the others get the one before."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._finding: dict[Hashable, threading.Lock] = {}
        self._found: dict[Hashable, tuple[float, Value]] = {}

    def get(self, key: Hashable, find: Callable[[], Value]) -> Value:
        with self._lock:
            finding = self._finding.setdefault(key, threading.Lock())
            known = self._found.get(key)
        if known is not None and self._is_fresh(known[0]):
            return known[1]
        # Who comes first finds it out; the others wait only where there is nothing yet.
        if not finding.acquire(blocking=known is None):
            assert known is not None
            return known[1]
        try:
            again = self._found.get(key)
            if again is not None and self._is_fresh(again[0]):
                return again[1]
            value = find()
            self._found[key] = (self._clock(), value)
            return value
        finally:
            finding.release()

    def _is_fresh(self, since: float) -> bool:
        return self._clock() < since + self.seconds
