"""The wall clock, and how to notice that somebody set it.

What is stored is told by the wall clock, because several processes and people read it. How long something takes
or waits is told by a clock that nobody can set.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

# Less is no step: it is what two looks at two clocks differ by, and no promise of ours is that exact.
_NOTICEABLE = timedelta(seconds=0.5)
# Two looks so far apart, because the process was held up in between, say nothing of the clocks.
_AT_ONCE = 0.05
_STEADY = getattr(time, "CLOCK_BOOTTIME", None)


class Step(NamedTuple):
    """The clock would say ``before`` by now, and says ``after`` since somebody set it."""

    before: datetime
    after: datetime

    @property
    def by(self) -> timedelta:
        return self.after - self.before


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def steady() -> float:
    """Seconds on a clock that nobody can set. It goes on while the machine sleeps, where there is such a clock;
    with one that stands still, each sleep would look as if somebody had set the other one."""
    return time.monotonic() if _STEADY is None else time.clock_gettime(_STEADY)


class ClockWatch:
    """Compares the wall clock with the steady one.

    NTP mostly makes the clock a little faster or slower; that is done to both of them. So what they are apart by
    changes when the clock is set, and then only.
    """

    def __init__(self) -> None:
        self._origin = _origin()

    def step(self) -> Step | None:
        """How the clock was set since the beginning, or since :meth:`followed`; None if it was not."""
        by = _origin() - self._origin
        if abs(by) < _NOTICEABLE:
            return None
        after = now()
        return Step(after - by, after)

    def followed(self, step: Step) -> None:
        """What there was to do about the step is done."""
        self._origin += step.by


def _origin() -> datetime:
    """What the wall clock said, as far as it knows, when the steady one was at zero."""
    while True:
        before = steady()
        moment = now()
        after = steady()
        if after - before < _AT_ONCE:
            return moment - timedelta(seconds=after)
