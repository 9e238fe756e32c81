"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

# Patience for what has no promise of its own: long, because a busy machine is no fault of ours.
PATIENCE = 30.0
_LOOK_INTERVAL = 0.005


def until(
    condition: Callable[[], Value],
    seconds: float = PATIENCE,
    *,
    what: str = "",
    explain: Callable[[], str] = lambda: "",
) -> Value:
    """Wait until ``condition()`` is true and return what it was; fail when it does not become so in time.

    ``what`` was waited for, and ``explain()`` says how things are instead.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        # A process that spins would take a core from those it waits for.
        time.sleep(_LOOK_INTERVAL)
        if time.monotonic() >= deadline and not condition():
            raise AssertionError(f"not true within {seconds:g} s: {what or condition}\n{explain()}")
    return value


def monotonic() -> float:
    """The clock of the witness."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)
