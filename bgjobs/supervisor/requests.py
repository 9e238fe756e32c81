"""What people ask of running jobs, and what is to be done about it: stop or kill one, hold it up, let it go on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row

from bgjobs.supervisor.running import RunningJob


@dataclass(frozen=True, slots=True)
class Requested:
    """The running jobs for which a request is news."""

    to_stop: list[tuple[RunningJob, str | None]] = field(default_factory=list)  # and who asked for it
    to_kill: list[tuple[RunningJob, str | None]] = field(default_factory=list)
    to_pause: list[RunningJob] = field(default_factory=list)
    to_resume: list[RunningJob] = field(default_factory=list)

    def carry_out(self, grace: float) -> None:
        """Send the signals."""
        for running, by in self.to_stop:
            running.stop("cancel", grace, by=by)
        for running, by in self.to_kill:
            running.kill_for(by)
        for running in self.to_pause:
            running.pause()
        for running in self.to_resume:
            running.resume()


def requested(rows: Iterable[Row[Any]], running: Iterable[RunningJob]) -> Requested:
    """Compare what the rows ask for with what was done. A job that is being stopped is let alone, but for one
    that is to be killed: whoever wants that does not wait for the end of the grace period.

    One that waits in its process for the jobs before it is only told to stop: a kill would be theirs.
    """
    asked = {row.id: row for row in rows}
    found = Requested()
    for job in running:
        row = asked.get(job.job.id)
        if row is not None and row.kill_requested_at is not None and job.has_begun and not job.killed:
            found.to_kill.append((job, row.cancel_requested_by))
        elif job.stop_reason is not None:
            continue
        elif row is not None and row.cancel_requested_at is not None:
            found.to_stop.append((job, row.cancel_requested_by))
        elif row is not None and job.paused_at is None:
            found.to_pause.append(job)
        elif row is None and job.paused_at is not None:
            found.to_resume.append(job)
    return found
