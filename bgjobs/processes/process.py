"""One process of the pool: what it was given, whether it takes more, and how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bgjobs.processes.channel import Channel
from bgjobs.processes.identity import ProcessIdentity
from bgjobs.processes.server import Server


@dataclass(eq=False, slots=True)
class Process:
    """One process of the pool, from the request to start it to its end."""

    slot: int
    channel: Channel
    server: Server
    jobs_left: int
    identity: ProcessIdentity | None = None  # None until it is ready
    in_flight: int = 0  # jobs that were sent and not acknowledged yet
    leaving: bool = False
    reach: int = 1  # how many jobs it may have in hand at once
    held: int = 0  # how many it had in hand after the last claim
    asked_at: float = field(default_factory=time.monotonic)

    @property
    def busy(self) -> bool:
        return self.in_flight > 0 or self.leaving or self.jobs_left <= 0

    @property
    def takes_jobs(self) -> bool:
        """Whether it may be given a job, be it behind others."""
        return not (self.identity is None or self.leaving or self.jobs_left <= 0 or self.server.retired)

    def acknowledge(self, token: str) -> None:
        """The outcome is safe: the process may take another job, or leaves if it had its last."""
        self.channel.send({"ack": token})
        self.in_flight -= 1
        if self.server.retired and not self.busy:
            self.leave()

    def leave(self) -> None:
        """Tell a process that has nothing to do to go."""
        self.leaving = True
        self.channel.send({"leave": True})


@dataclass(frozen=True, slots=True)
class Ended:
    """A process is gone. ``status`` is negative for a signal, None where nobody saw how it ended."""

    process: Process
    status: int | None
    peak_rss: int | None = None
    cpu_seconds: float | None = None
