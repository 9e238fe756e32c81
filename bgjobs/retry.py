"""When a failed attempt runs again: a pure decision, values in, values out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bgjobs.exceptions import InvalidParameters

RetryDelay = float | list[float]
"""Seconds before each retry; a list holds one value a retry, the last one serving for all later ones."""

# Ten years: beyond it a delay is a mistake, and datetime arithmetic is not far from overflowing.
LONGEST_DELAY = 10 * 366 * 86400.0
MOST_RETRIES = 1000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``max_retries`` retries at most, each ``retry_delay`` seconds after the failure before it."""

    max_retries: int
    retry_delay: RetryDelay

    def allows(self, retry_count: int) -> bool:
        """Whether the attempt that is retry number ``retry_count`` may be followed by another."""
        return retry_count < self.max_retries

    def delay_after(self, retry_count: int) -> float:
        """Seconds to wait after the attempt that was retry number ``retry_count``."""
        if isinstance(self.retry_delay, list):
            return self.retry_delay[min(retry_count, len(self.retry_delay) - 1)]
        return self.retry_delay


def checked_max_retries(value: Any) -> int:
    """``value`` if it is a whole number from 0 to 1000; :class:`InvalidParameters` otherwise."""
    return checked_count(value, "max_retries", MOST_RETRIES)


def checked_retry_count(value: Any, max_retries: int) -> int:
    """``value`` if it names the first attempt (0) or one of the ``max_retries`` retries."""
    return checked_count(value, "retry_count", max_retries)


def checked_count(value: Any, name: str, most: int) -> int:
    """``value`` if it is a whole number from 0 to ``most``. A bool is not a number here."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise InvalidParameters(f"must be a whole number from 0 to {most}", path=name)
    return value


def checked_seconds(value: Any, name: str) -> float:
    """``value`` in seconds if it is a finite number from 0 to ten years."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidParameters("must be a number of seconds", path=name)
    if not 0 <= value <= LONGEST_DELAY:  # NaN compares false
        raise InvalidParameters("must be a finite number of seconds from 0 to ten years", path=name)
    return float(value)


def checked_retry_delay(value: float | Sequence[float] | Callable[[int], float], max_retries: int) -> RetryDelay:
    """The delays as data.

    A callable gets the number of the retry, from 1, and is asked now for every retry there can be:
    so a retry after a dead process needs no code of the application.
    """
    if callable(value):
        value = [value(retry) for retry in range(1, max_retries + 1)] or 0
    if isinstance(value, list | tuple):
        if not 0 < len(value) <= MOST_RETRIES:
            raise InvalidParameters(f"a list has 1 to {MOST_RETRIES} delays", path="retry_delay")
        return [checked_seconds(item, "retry_delay") for item in value]
    return checked_seconds(value, "retry_delay")
