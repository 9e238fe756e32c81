"""How far a job says it is, as numbers and words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bgjobs.dashboard import formats
from bgjobs.models import PENDING
from bgjobs.redaction import Redactor


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job says it is. ``percent`` is None where it does not say of how much."""

    percent: int | None
    words: str
    message: str


def progress_of(job: Any, redactor: Redactor, secrets: set[str]) -> Progress | None:
    """What the row of a job says of its progress; None where it says nothing."""
    done, total = formats.number(job.progress_done), formats.number(job.progress_total)
    if done is None or job.status == PENDING:
        return None
    message = redactor.text(formats.line(job.progress_message), secrets)
    if total is None or total <= 0:
        return Progress(None, f"{done:,g}", message)
    percent = round(100 * min(max(done / total, 0.0), 1.0))
    return Progress(percent, f"{done:,g} of {total:,g}", message)
