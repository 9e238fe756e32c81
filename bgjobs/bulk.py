"""An action on more jobs than a request should wait for: a job of our own does it, a few at a time.

Nobody can dispatch it by its name. Whoever may press the button dispatches it by :func:`dispatch`, with the ids
that were found then; what is dispatched or changed later is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bgjobs import clock
from bgjobs.app_state import AppState, app_state
from bgjobs.by_hand import MANY_AT_ONCE, Tally, act
from bgjobs.class_name import public_name
from bgjobs.exceptions import InvalidParameters
from bgjobs.lookups import job_row
from bgjobs.options import Options, new_job
from bgjobs.removal import CHUNK
from bgjobs.runner.current_job import current_job
from bgjobs.store import who
from bgjobs.transactional import tell

BULK_LIMIT = 1_000
"""Jobs of one action: their ids stand in its parameters."""


class BulkAction:
    """Retries, cancels or deletes jobs."""

    max_retries = 0  # it would be done again to jobs that were dealt with since
    queue = "bgjobs"  # not held up where somebody paused the queue of the application
    priority = -1000  # before the jobs that it is to cancel

    def run(self, action: str, job_ids: list[int], by: str | None = None) -> dict[str, int]:
        """Do ``action`` to the jobs. Whoever cancels it stops it between two chunks."""
        state = app_state()
        _refuse_a_second_time(state)
        if action not in MANY_AT_ONCE:
            raise InvalidParameters(f"must be one of {', '.join(MANY_AT_ONCE)}", path="action")
        tally = Tally()
        for start in range(0, len(job_ids), CHUNK):
            if current_job.cancelled:
                break
            tally += act(state, action, job_ids[start : start + CHUNK], by)
            current_job.progress(min(start + CHUNK, len(job_ids)), len(job_ids), tally.words(action))
        return {"done": tally.done, "too_late": tally.too_late, "gone": tally.gone}


def dispatch(state: AppState, action: str, job_ids: Sequence[int], by: str | None) -> int:
    """Have ``action`` done to these jobs in the background; the id of the job that does it. Whether it may be
    done has to be checked before."""
    state.backend.prepare()
    parameters: dict[str, Any] = {"action": action, "job_ids": list(job_ids[:BULK_LIMIT]), "by": who(by)}
    call = state.approval.call_of_row(public_name(BulkAction), "run", parameters)
    job = new_job(call, 0, Options(), runner=state.runner_class, settings=state.settings, now=clock.now())
    with state.store.changing() as changes:
        (job_id,) = changes.enqueue_all([job])  # also beyond BGJOBS_MAX_PENDING: it may be what makes room
    tell(state.backend.dispatched, [job_id])
    return job_id


def _refuse_a_second_time(state: AppState) -> None:
    """Who presses Retry on the page of this job was asked for the right to retry, not for that of the action."""
    with state.store.database.reading() as connection:
        attempt = job_row(connection, current_job.id).attempt
    if attempt != 1:
        raise RuntimeError("An action on many jobs is not repeated. Choose the jobs again, in the list of jobs.")
