"""Which buttons the page of a job has: pure, from what its row says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from bgjobs.models import CANCELLED, COMPLETED, ENDED, FAILED, PENDING, RUNNING, SUPERVISED


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that can be done with a job. With a ``question``, after a yes to it; ``go_on`` are the words of
    that yes. A ``main`` one stands beside the title, the others in a menu."""

    name: str
    words: str
    icon: str
    look: str = ""  # strong, danger
    question: str = ""
    go_on: str = ""
    main: bool = False


def offers(job: Row[Any], kill_grace: float) -> list[Offer]:
    """What makes sense with this job, whoever asks; the most likely first."""
    if job.status == PENDING:
        return [_cancel(f"Cancel job #{job.id}? It will not start.")]
    if job.status == RUNNING:
        return [*_of_a_running_job(job, kill_grace)]
    if job.status not in ENDED:
        return []
    found = [Offer("edit", "Edit and retry…" if job.status != COMPLETED else "Edit and run again…", "edit")]
    if job.status in (FAILED, CANCELLED):
        found.insert(0, Offer("retry", "Retry", "retry", "strong", main=True))
    question = f"Delete job #{job.id}? Its logs, attempts and output go with it, and nobody can bring them back."
    return [*found, Offer("delete", "Delete…", "trash", "danger", question, "Delete the job")]


def _of_a_running_job(job: Row[Any], kill_grace: float) -> list[Offer]:
    stopping, separate = job.cancel_requested_at is not None, job.backend in SUPERVISED
    found = []
    if not stopping:
        ladder = f"It gets SIGTERM, then SIGKILL if it still runs after {kill_grace:g} s."
        found.append(_cancel(f"Ask job #{job.id} to stop? {ladder}"))
    if separate and not stopping:
        paused = job.paused_at is not None
        found.append(Offer("resume", "Resume", "play", main=True) if paused else Offer("pause", "Pause", "pause"))
    if separate and job.kill_requested_at is None:
        question = f"Kill job #{job.id}? It and everything it started end at once, and it cannot tidy up."
        found.append(Offer("kill", "Kill…", "cross", "danger", question, "Kill the job", main=stopping))
    return found


def _cancel(question: str) -> Offer:
    return Offer("cancel", "Cancel", "stop", "danger", question, "Cancel the job", main=True)
