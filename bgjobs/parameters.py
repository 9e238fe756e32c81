"""What may be a parameter or a result: a value that comes back from JSON and from every database unchanged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from bgjobs.exceptions import InvalidParameters

PARAMETERS_LIMIT = 64 * 1024
"""Bytes of the parameters as JSON. A job gets ids of its data, not the data."""
DEPTH_LIMIT = 32
_INTEGERS = range(-(2**63), 2**63)
_SURROGATE_OR_NUL = re.compile("[\x00\ud800-\udfff]")
_compact_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def checked_parameters(parameters: Any) -> dict[str, Any] | list[Any]:
    """``parameters`` if it comes back from JSON unchanged; :class:`InvalidParameters` otherwise.

    Stops at the first fault, so a hostile value costs no more than the limit allows.
    """
    if type(parameters) not in (dict, list):
        raise InvalidParameters("must be a dict (keyword arguments) or a list (positional arguments)")
    size = _size(parameters)
    if size > PARAMETERS_LIMIT:
        raise _too_large()
    way: list[int | str] = []  # the steps to the innermost container that is open
    opened = [_entries(parameters, way)]
    while opened:
        for step, value in opened[-1]:
            if fault := _fault(value):
                raise InvalidParameters(fault, path=_path([*way, step]))
            size += _size(value) + (len(step) if isinstance(step, str) else 0)
            if size > PARAMETERS_LIMIT:
                raise _too_large()
            if type(value) is dict or type(value) is list:
                way.append(step)
                if len(way) >= DEPTH_LIMIT:
                    raise InvalidParameters(f"nested deeper than {DEPTH_LIMIT} levels", path=_path(way))
                opened.append(_entries(value, way))
                break  # into it; the entries after it are seen later
        else:
            opened.pop()
            del way[-1:]
    if len(_compact_json(parameters).encode()) > PARAMETERS_LIMIT:
        raise _too_large()
    return parameters  # type: ignore[no-any-return]


def _entries(container: Any, way: Sequence[int | str]) -> Iterator[tuple[int | str, Any]]:
    if type(container) is list:
        return enumerate(container)
    for key in container:
        if fault := _fault(key) if type(key) is str else "the keys of a JSON object are texts":
            raise InvalidParameters(fault, path=_path(way))
    return iter(container.items())


def _path(way: Sequence[int | str]) -> str:
    return "parameters" + "".join(f".{step[:40]}" if isinstance(step, str) else f"[{step}]" for step in way)


def _size(value: Any) -> int:
    """The least number of characters that a value takes as JSON, the entries of a container aside."""
    kind = type(value)
    if kind is str:
        return len(value)
    return 1 + len(value) if kind is dict or kind is list else 1  # a bracket and the commas


def _fault(value: Any) -> str | None:
    """Why a value, its contents aside, does not come back from JSON and from every database unchanged."""
    kind = type(value)
    if kind is str:
        # A longer one is refused for its length, without being read.
        if len(value) <= PARAMETERS_LIMIT and _SURROGATE_OR_NUL.search(value):
            return "a text with a NUL or half a surrogate pair cannot be stored"
    elif kind is float:
        if not (-1.8e308 < value < 1.8e308):  # NaN compares false as well
            return "NaN and infinity are not JSON"
    elif kind is int:
        if value not in _INTEGERS:
            return "a whole number beyond 64 bits"
    elif kind not in (dict, list, bool, type(None)):
        return f"a {kind.__name__} is not JSON; pass a text, number, bool, None, list or dict"
    return None


def _too_large() -> InvalidParameters:
    return InvalidParameters(f"more than {PARAMETERS_LIMIT // 1024} KiB as JSON; store the data and pass its id")
