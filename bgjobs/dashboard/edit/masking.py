"""Secrets in a form: they are not sent to the browser, and stay as they were unless somebody types another one."""

from __future__ import annotations

from typing import Any

from bgjobs.redaction import MASK, Redactor


class StillMasked(ValueError):
    """A mask stands where there is nothing that it could stand for."""


def unmasked(given: Any, stored: Any, redactor: Redactor) -> Any:
    """``given``, which somebody made of the masked copy of ``stored``, with what was masked put back in its place.

    Raises :class:`StillMasked` where a mask was moved, or a part of it is left.
    """
    if given == redactor.parameters(stored):
        return stored
    if isinstance(given, dict):
        known = stored if isinstance(stored, dict) else {}
        return {key: _value_of(key, item, known, redactor) for key, item in given.items()}
    if isinstance(given, list):
        before = stored if isinstance(stored, list) else []
        return [
            unmasked(item, _counterpart(before, index, item, redactor), redactor)
            for index, item in enumerate(given)
        ]
    if isinstance(given, str) and MASK in given:
        raise StillMasked
    return given


def _value_of(key: str, given: Any, stored: dict[str, Any], redactor: Redactor) -> Any:
    """The value under one key: a secret that was left alone is the one that is stored under this very key."""
    if key in stored and given == redactor.parameters({key: stored[key]})[key]:
        return stored[key]
    return unmasked(given, stored.get(key), redactor)


def _counterpart(stored: list[Any], index: int, given: Any, redactor: Redactor) -> Any:
    """What an item of a list was before: one that looks the same, and else the one at its place."""
    if index < len(stored) and redactor.parameters(stored[index]) == given:
        return stored[index]
    same = [item for item in stored if redactor.parameters(item) == given]
    if len(same) == 1:
        return same[0]
    return stored[index] if index < len(stored) else None
