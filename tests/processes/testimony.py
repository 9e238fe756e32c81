"""What the witness wrote, and what must be true of it together with the tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the witness."""

    job: int
    retry: int
    pid: int
    what: str
    moment: float  # on the monotonic clock


def read_events(path: Path) -> list[Event]:
    """All lines in the order in which they were written."""
    if not path.exists():
        return []
    lines = (line.split() for line in path.read_text().splitlines())
    return [Event(int(job), int(retry), int(pid), what, float(moment)) for job, retry, pid, what, moment in lines]


def faults(events: Iterable[Event], jobs: Iterable[Any], attempts: Iterable[Any]) -> Iterator[str]:
    """Every broken promise of "at least once, never two at a time" that can be seen from outside.

    ``jobs`` and ``attempts`` are rows of our tables.
    """
    by_job: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        by_job[event.job].append(event)
    attempts_of: dict[int, list[Any]] = defaultdict(list)
    for attempt in attempts:
        attempts_of[attempt.background_job_id].append(attempt)
    rows = {row.id: row for row in jobs}
    for job in by_job.keys() - rows.keys():
        yield f"job {job} ran, but is not in the table"
    for job, row in rows.items():
        for fault in _faults_of(row, by_job[job], attempts_of[job]):
            yield f"job {job} ({row.class_name}::{row.method_name}, {row.status}): {fault}"


def _faults_of(row: Any, events: list[Event], attempts: list[Any]) -> Iterator[str]:
    starts = [event for event in events if event.what == "start"]
    if any(event.what == "overlap" for event in events):
        yield "two executions lived at the same time"
    if row.status == "running":
        yield "is still running"
    if row.status == "completed":
        ends = [event for event in events if event.what == "end"]
        # A job without a witness, such as ExampleJob, is judged by its row alone.
        if starts and (not ends or ends[-1].moment < starts[-1].moment or ends[-1].pid != row.pid):
            yield f"is completed, but its last execution did not come to its end: {events}"
        if sum(end.moment >= starts[-1].moment for end in ends) > 1:
            yield "came to its end twice in one execution"
    counted = [attempt for attempt in attempts if attempt.outcome != "released"]
    # Somebody who wrote to the row, or put it back by hand, changed the count as well.
    if 0 <= row.retry_count <= row.max_retries and len(counted) > row.max_retries + 1:
        yield f"had {len(counted)} attempts, and {row.max_retries} retries are allowed"
    known = {(attempt.pid) for attempt in attempts}
    if unknown := {event.pid for event in starts} - known:
        yield f"ran in processes {unknown} that were not on disk before"
    if len(starts) > len(attempts):
        yield f"started {len(starts)} times in {len(attempts)} attempts"
    if row.status != "running" and any(attempt.ended_at is None for attempt in attempts):
        yield "has an attempt that has no end"
