"""Holding up a queue and letting it go on, with a line in the log file that says who did it: a queue has no job
whose story could tell."""

from __future__ import annotations

from dataclasses import dataclass

from bgjobs import pausing
from bgjobs.app_state import AppState
from bgjobs.dashboard.problems import Problem, Refused
from bgjobs.dashboard.queues.table import name_of
from bgjobs.exceptions import InvalidParameters
from bgjobs.transactional import tell

PAUSE, RESUME = STEPS = ("pause", "resume")

_NO_QUEUE = Problem(404, "There is no such queue", "A queue cannot have that name. Nothing was changed.")


@dataclass(frozen=True, slots=True)
class _Queue:
    """As the log files name it, in the place of a job: ``queue::mail``."""

    method_name: str
    id: int = 0
    class_name: str = "queue"


def act(state: AppState, step: str, given: str, by: str | None) -> None:
    """Pause or resume a queue. Raises :class:`Refused` for what is no queue, or is so already."""
    queue = name_of(given)
    if queue is None:
        raise Refused(_NO_QUEUE)
    if step == PAUSE:
        done = pausing.pause_queue(state.store, queue, by=by or "somebody on the dashboard")
    else:
        done = _resume(state, queue)
    if not done:
        raise Refused(_too_late(queue, step))
    words = "Paused" if step == PAUSE else "Resumed"
    state.logger.info(_Queue(queue), f"{words} on the dashboard{f' by {by}' if by else ''}")
    tell(state.backend.wake)


def _resume(state: AppState, queue: str) -> bool:
    try:
        pausing.resume_queue(state.store, queue)
    except InvalidParameters:  # the name was looked at: it is not paused
        return False
    return True


def _too_late(queue: str, step: str) -> Problem:
    is_so = "is paused already" if step == PAUSE else "is not paused"
    return Problem(409, "It was too late for that", f"The queue {queue} {is_so}. Nothing was changed.")
