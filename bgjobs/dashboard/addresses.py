"""Numbers in an address, which anybody may have typed; and where to go when a job is not there any more."""

from __future__ import annotations

import re

from flask import current_app

from bgjobs.exceptions import JobNotFound

# 18 digits are less than 2**63, which is what a database takes.
_is_number = re.compile(r"[0-9]{1,18}", re.ASCII).fullmatch
_is_job = re.compile(r"#?([0-9]{1,18})", re.ASCII).fullmatch


def whole_number(text: str | None) -> int | None:
    """A whole number above zero, None for anything else."""
    return int(text) or None if text is not None and _is_number(text) else None


def job_searched_for(term: str) -> int | None:
    """The number of a job, when that is what was typed in a search: ``1042`` or ``#1042``."""
    found = _is_job(term)
    return int(found[1]) if found else None


def place_in(text: str | None) -> int | None:
    """A place in a file, from zero on; None for anything else."""
    return int(text) if text is not None and _is_number(text) else None


def number_of_job(text: str) -> int:
    """The number of a job. Raises :class:`JobNotFound` for what is none."""
    number = whole_number(text)
    if number is None:
        raise JobNotFound(text)
    return number


def address_of_list() -> str:
    """The endpoint of the list in which a job stood."""
    return ".jobs" if "bgjobs.jobs" in current_app.view_functions else ".logs"
