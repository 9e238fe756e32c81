"""By which exception a job failed, as far as the beginning of its error tells."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, func

from bgjobs.lookups import jobs

NO_EXCEPTION = "none"
"""Stands in an address for errors that name no exception, such as that of a process that was killed."""

_exception_type = re.compile(r"[A-Za-z_][\w.]{0,99}", re.ASCII).match


def beginning_of_error() -> ColumnElement[Any]:
    """As much of an error as says what it is. A whole one may be a megabyte."""
    return func.substr(jobs.c.error_message, 1, 200).label("error")


def exception_of(error: Any) -> str:
    """The type of the exception with which the error of a job begins; nothing where there is none."""
    named = _exception_type(error) if isinstance(error, str) else None
    return named[0].rpartition(".")[2] if named and error[named.end() :][:1] in ("", ":") else ""


def is_by(error: Any, exception: str) -> bool:
    """Whether a job with this error failed by ``exception``, a type or :data:`NO_EXCEPTION`."""
    return (exception_of(error) or NO_EXCEPTION) == exception
