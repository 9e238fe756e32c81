"""The result of a job: a JSON value, or nothing."""

from __future__ import annotations

from typing import Any

from bgjobs.exceptions import InvalidParameters
from bgjobs.parameters import checked_parameters


def checked_result(value: Any) -> Any:
    """``value`` if it can be kept as a result: JSON, up to 64 KiB. Raises :class:`InvalidParameters`."""
    try:
        checked_parameters([value])
    except InvalidParameters as refusal:
        place = refusal.path.removeprefix("parameters").removeprefix("[0]")
        raise InvalidParameters(refusal.reason, path=f"result{place}") from None
    return value


def kept_result(returned: Any, assigned: Any) -> Any:
    """What is kept of a finished job: its return value where that is a JSON value, else what it assigned
    to ``current_job.result``."""
    if returned is None:
        return assigned
    try:
        return checked_result(returned)
    except InvalidParameters:
        # Most methods return something or nothing without a thought of bgjobs; that is not an error.
        return assigned
