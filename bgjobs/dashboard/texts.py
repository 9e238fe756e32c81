"""A term looked for in texts that no index knows: what the database can say of it by itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, cast, func, or_


def may_contain(text: ColumnElement[Any], folded_term: str, dialect: str) -> ColumnElement[bool]:
    """Whether ``text`` may contain a term whose case was folded by Python, which has to look again. SQLite folds
    the case of ASCII alone, so it passes on every text that has other characters."""
    if dialect != "sqlite":
        return func.lower(text).contains(folded_term, autoescape=True)
    has_more_than_ascii = func.length(text) != func.length(cast(text, LargeBinary))
    return or_(func.instr(func.lower(text), folded_term) > 0, has_more_than_ascii)
