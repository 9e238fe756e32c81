"""When a supervisor does what can wait: while it is calm, and if it never is, a little all the same."""

from __future__ import annotations

# Work that can wait takes so much of each second.
SECONDS_AT_A_TIME = 0.1
# A supervisor that is never calm must do some of it all the same, a piece a second.
LONGEST_WAIT = 600.0


class Leisure:
    """Since when there was none."""

    def __init__(self, now: float) -> None:
        self._calm_at = now

    def has_come(self, now: float, *, is_busy: bool) -> bool:
        if not is_busy:
            self._calm_at = now
        return not is_busy or now >= self._calm_at + LONGEST_WAIT
