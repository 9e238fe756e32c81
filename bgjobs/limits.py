"""What a job may use besides time: memory, niceness, output. Given by people, stored as a few whole numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bgjobs.exceptions import InvalidParameters

Limits = dict[str, int]
"""The limits that a job has, by name: ``memory`` and ``output_max`` in bytes, ``nice``. Most jobs have none,
and carry None."""

LEAST_MEMORY = 1024 * 1024
_MOST = 2**50
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def memory_size(value: Any) -> int:
    """Bytes of memory: a whole number of them, or a text such as ``"512M"`` or ``"1.5G"``. Raises ValueError."""
    return _size(value, LEAST_MEMORY)


def output_size(value: Any) -> int:
    """Bytes of output, written in the same ways. Raises ValueError."""
    return _size(value, 1024)


def niceness(value: Any) -> int:
    """From 0 to 19: to be less nice than the supervisor takes rights that a job should not have. Raises
    ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 19:
        raise ValueError("must be a whole number from 0 to 19")
    return value


_CHECKS: Mapping[str, Callable[[Any], int]] = {
    "memory": memory_size,
    "nice": niceness,
    "output_max": output_size,
}
NAMES = tuple(_CHECKS)


def checked_limits(given: Mapping[str, Any]) -> Limits | None:
    """The limits to store of those that were given, which may be None each; None where there are none. Raises
    :class:`InvalidParameters`."""
    limits = {}
    for name, value in given.items():
        if value is not None:
            try:
                limits[name] = _CHECKS[name](value)
            except ValueError as error:
                raise InvalidParameters(str(error), path=name) from None
    return limits or None


def limits_of_row(value: Any) -> Limits | None:
    """The limits that a row holds, which somebody may have edited: what cannot be is left out."""
    if value is None:
        return None
    found = {}
    for name, check in _CHECKS.items():
        try:
            if type(value) is dict and value.get(name) is not None:
                found[name] = check(value[name])
        except ValueError:
            continue
    return found or None


def added_niceness(limits: Limits | None) -> int:
    """How much nicer a process becomes by a job. It cannot take that back, so it runs no other one then."""
    return 0 if limits is None else limits.get("nice", 0)


def _size(value: Any, least: int) -> int:
    if isinstance(value, str):
        written = _SIZE.fullmatch(value.strip())
        size = int(float(written[1]) * _UNITS[written[2].upper()]) if written else -1
    else:
        size = value if isinstance(value, int) and not isinstance(value, bool) else -1
    if not least <= size <= _MOST:
        raise ValueError(f'must be a size such as "512M" or a number of bytes, at least {least:,}')
    return size
