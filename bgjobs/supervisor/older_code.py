"""A worker whose code is older than the job: it does not know the class yet, and another one does, or soon will.

While a new version is rolled out, both are at work. A job that is refused where it runs is refused for good on one
host; among several it is retried like one that failed, so that a worker with the newer code may get it.
"""

from __future__ import annotations

from bgjobs.exceptions import ClassNotApproved, InvalidParameters, MethodNotApproved
from bgjobs.runner.outcome import Execution, Outcome

_REFUSALS = {refusal.__name__ for refusal in (ClassNotApproved, MethodNotApproved, InvalidParameters)}


def with_another_chance(job: Execution, outcome: Outcome) -> Outcome:
    """``outcome``, with the retry that a refusal does not ask for itself, where any are left."""
    if outcome.kind != "failed" or outcome.exception_type not in _REFUSALS or outcome.retry_in is not None:
        return outcome
    if job.retry_count < 0 or not job.policy.allows(job.retry_count):  # somebody edited the row, or none is left
        return outcome
    return outcome._replace(retry_in=job.policy.delay_after(job.retry_count))
