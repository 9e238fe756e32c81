"""The table of queues as the template shows it: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bgjobs.dashboard import formats
from bgjobs.dashboard.counts import Count, count_words
from bgjobs.dashboard.formats import Moment
from bgjobs.dashboard.queues.queries import QueuesFound
from bgjobs.exceptions import InvalidParameters
from bgjobs.options import checked_queue


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One queue. ``name`` is what a form sends; None for what can be no name, so that nothing can be done."""

    shown: str
    name: str | None
    pending: Count
    due: Count
    running: int
    oldest: Moment | None
    is_paused: bool
    paused_since: Moment | None
    paused_by: str
    question: str


@dataclass(frozen=True, slots=True)
class QueueTable:
    rows: list[QueueRow]
    has_more: bool


def queue_table(found: QueuesFound, now: datetime) -> QueueTable:
    waiting = {row.queue: row for row in found.waiting}
    paused = {row.queue: row for row in found.paused}
    # Of a queue that is beyond the shown ones nothing is known but that jobs of it run.
    running = () if found.has_more else found.running
    names = sorted({*waiting, *paused, *running}, key=str)
    return QueueTable(
        [
            _row(name, waiting.get(name), paused.get(name), found.running.get(name, 0), found.counted, now)
            for name in names
        ],
        found.has_more,
    )


def _row(queue: Any, waiting: Any, paused: Any, running: int, most: int, now: datetime) -> QueueRow:
    due, later = (waiting.due, waiting.later) if waiting else (0, 0)
    pending = _capped(due + later, most)
    return QueueRow(
        shown=formats.line(queue),
        name=name_of(queue),
        pending=pending,
        due=_capped(due, most),
        running=running,
        oldest=formats.moment(waiting.oldest, now) if due else None,
        is_paused=paused is not None,
        paused_since=formats.moment(paused.paused_at, now) if paused else None,
        paused_by=formats.line(paused.paused_by) if paused else "",
        question=pause_question(formats.line(queue), pending),
    )


def name_of(queue: Any) -> str | None:
    """``queue`` if a queue can be called so."""
    try:
        return checked_queue(queue)
    except InvalidParameters:
        return None


def pause_question(queue: str, pending: Count) -> str:
    jobs = "job" if pending == Count(1) else "jobs"
    return f"Pause the queue {queue}? Its {count_words(pending)} pending {jobs} will wait; what runs goes on."


def _capped(number: int, most: int) -> Count:
    return Count(min(number, most), number > most)
