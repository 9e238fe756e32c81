"""What a pending job waits for, as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bgjobs.app_state import AppState
from bgjobs.why import NOTHING, Reason, obstacle, why


@dataclass(frozen=True, slots=True)
class Waiting:
    """The first thing that is in its way, and all that was looked at."""

    words: str
    remedy: str
    reasons: list[Reason]


def waiting(state: AppState, job_id: int, now: datetime) -> Waiting:
    """What a job waits for that was pending a moment ago. Raises :class:`~bgjobs.exceptions.JobNotFound`."""
    reasons = why(state, job_id, now=now)
    first = obstacle(reasons)
    return Waiting(NOTHING, "", reasons) if first is None else Waiting(first.words, first.remedy, reasons)
