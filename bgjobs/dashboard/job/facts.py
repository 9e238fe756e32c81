"""The names and values in the list beside the story of a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from bgjobs.dashboard import formats
from bgjobs.dashboard.formats import Moment
from bgjobs.models import PENDING, RUNNING


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and a value of the list beside the title."""

    name: str
    text: str = ""
    moment: Moment | None = None


def facts_of(job: Row[Any], now: datetime) -> list[Fact]:
    created, started = formats.moment(job.created_at, now), formats.moment(job.started_at, now)
    finished, scheduled = formats.moment(job.completed_at, now), formats.moment(job.scheduled_at, now)
    facts = [Fact("Created", moment=created)]
    if job.status == PENDING:
        facts.append(Fact("Due", moment=scheduled))
    if started is not None:
        facts += [Fact("Started", moment=started)]
    if finished is not None:
        facts += [Fact("Ended", moment=finished), Fact("Took", formats.between(job.started_at, job.completed_at))]
    facts += [
        Fact("Retries", formats.retries(job.retry_count, job.max_retries)),
        Fact("Queue", formats.line(job.queue)),
        Fact("Priority", formats.line(job.priority)),
    ]
    if job.timeout is not None:
        facts.append(Fact("Timeout", formats.duration(job.timeout)))
    if job.status == RUNNING:
        facts.append(Fact("Process", f"{formats.line(job.pid)} on {formats.line(job.host)}"))
    return facts
