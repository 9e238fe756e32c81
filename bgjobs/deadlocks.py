"""What to do when two transactions wait for each other: the database ends one of them, which then tries again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from bgjobs.exceptions import Deadlock

# Seconds between two tries, and how often one has to give way until the caller is told.
_PAUSE = 0.01
_IN_A_ROW = 20

P = ParamSpec("P")
T = TypeVar("T")


def outlasting_deadlocks(change: Callable[P, T]) -> Callable[P, T]:
    """Do ``change``, which is one transaction, again when the database ended it in favour of another.

    To lock rows in one order makes that rare, and not impossible: a claim comes to a row from an index, and
    MariaDB locks the entry there, then the row, while who cancels the job locks the row, then the entry.
    """

    @wraps(change)
    def until_done(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(_IN_A_ROW):
            try:
                return change(*args, **kwargs)
            except Deadlock:
                time.sleep(random.uniform(0, _PAUSE))  # noqa: S311 - so that the two do not meet again
        return change(*args, **kwargs)

    return until_done
