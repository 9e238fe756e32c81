"""The names and values in the list beside the story of a job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from bgjobs.dashboard import formats
from bgjobs.dashboard.facts import Fact
from bgjobs.limits import limits_of_row
from bgjobs.models import PENDING, RUNNING


def facts_of(job: Row[Any], retries: Sequence[int], now: datetime) -> list[Fact]:
    """``retries`` are the jobs that are this one again, with other parameters."""
    created, started = formats.moment(job.created_at, now), formats.moment(job.started_at, now)
    finished, scheduled = formats.moment(job.completed_at, now), formats.moment(job.scheduled_at, now)
    facts = [Fact("Created", moment=created)]
    if job.status == PENDING:
        facts.append(Fact("Due", moment=scheduled))
    if started is not None:
        facts += [Fact("Started", moment=started)]
    if finished is not None:
        facts += [Fact("Ended", moment=finished), Fact("Took", formats.between(job.started_at, job.completed_at))]
    facts += _paused(job, now)
    facts += [
        Fact("Retries", formats.retries(job.retry_count, job.max_retries)),
        Fact("Queue", formats.line(job.queue)),
        Fact("Priority", formats.line(job.priority)),
    ]
    facts += limit_facts(job.timeout, job.limits)
    if job.status == RUNNING:
        facts.append(Fact("Process", f"{formats.line(job.pid)} on {formats.line(job.host)}"))
    if isinstance(job.retry_of, int):
        facts.append(Fact("Retry of", jobs=(job.retry_of,)))
    if retries:
        facts.append(Fact("Retried as", jobs=tuple(retries)))
    return facts


def limit_facts(timeout: Any, limits: Any) -> list[Fact]:
    """The limits that a job has; one that has none is told of none."""
    facts = [] if timeout is None else [Fact("Timeout", formats.duration(timeout))]
    known = limits_of_row(limits) or {}
    if "memory" in known:
        facts.append(Fact("Memory", f"{formats.size(known['memory'])} at the most"))
    if "output_max" in known:
        facts.append(Fact("Output", f"the newest {formats.size(known['output_max'])} are kept"))
    if "nice" in known:
        facts.append(Fact("Nice", f"{known['nice']}"))
    return facts


def _paused(job: Row[Any], now: datetime) -> list[Fact]:
    since, seconds = formats.moment(job.paused_at, now), formats.number(job.paused_seconds)
    facts = []
    if since is not None and job.status == RUNNING:
        by = formats.line(job.paused_by)
        facts.append(Fact("Paused", f" by {by}" if by else "", moment=since))
    if seconds:
        facts.append(Fact("Was paused", f"{formats.duration(seconds)} in all"))
    return facts
