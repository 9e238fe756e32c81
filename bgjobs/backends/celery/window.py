"""How many jobs of a queue are published ahead of the workers: many where they go fast, few where they go slowly.

What is published waits in the order of its publishing, so the fewer wait, the better the most urgent comes first;
and the more, the less a worker waits for its next job.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST, LEAST, MOST = 32, 8, 512
SLOW_AFTER = 1.0
"""Seconds for which a published job waits where the workers are slow."""


@dataclass(slots=True)
class Window:
    """Of one queue."""

    size: int = FIRST
    was_filled: bool = False  # when we published last

    def room(self, waiting: int, oldest: float) -> int:
        """How many to publish, when ``waiting`` have not been claimed and the oldest of them waits for ``oldest``
        seconds."""
        if self.was_filled and waiting <= self.size // 4:
            self.size = min(2 * self.size, MOST)
        elif oldest > SLOW_AFTER:
            self.size = max(self.size // 2, LEAST)
        return max(0, self.size - waiting)

    def filled(self, published: int, room: int) -> None:
        """So many were published of so many that there was room for."""
        self.was_filled = 0 < room <= published
