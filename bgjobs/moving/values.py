"""Rows of one database as another one takes them, whoever wrote them.

SQLite keeps a text in a column of numbers, and a text of any length in any other; a server refuses both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, RowMapping, String, Table, Text

from bgjobs.models import JsonText, UtcDateTime

Values = dict[str, Any]
_Fit = Callable[[Any], Any]
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def as_stored(table: Table) -> Table:
    """The table without what its columns mean: JSON is carried over as the text that it is, readable or not."""
    columns = [
        Column(
            column.name,
            Text() if isinstance(column.type, JsonText) else column.type,
            primary_key=column.primary_key,
            nullable=column.nullable,
        )
        for column in table.columns
    ]
    return Table(table.name, MetaData(), *columns)


def fitting(table: Table) -> Callable[[RowMapping], Values]:
    """A function that makes a row fit the columns of ``table``. What fits no way becomes NULL, or what is next to
    it where there must be a value."""
    fits = {column.name: _fit_of(column) for column in table.columns}
    return lambda row: {name: fit(row[name]) for name, fit in fits.items()}


def _fit_of(column: Column[Any]) -> _Fit:
    kind = column.type
    if isinstance(kind, UtcDateTime):
        return _or(_NO_TIME if not column.nullable else None, _moment)
    if isinstance(kind, Double):
        return _or(0.0 if not column.nullable else None, _number)
    if isinstance(kind, Integer):
        bits = 63 if isinstance(kind, BigInteger) else 31
        return _or(0 if not column.nullable else None, lambda value: _whole(value, bits))
    assert isinstance(kind, String), kind
    most = kind.length
    return _or("" if not column.nullable else None, lambda value: _text(value)[:most])


def _or(instead: Any, fit: _Fit) -> _Fit:
    def careful(value: Any) -> Any:
        fitted = None if value is None else fit(value)
        return instead if fitted is None else fitted

    return careful


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _whole(value: Any, bits: int) -> int | None:
    return value if isinstance(value, int) and -(2**bits) <= value < 2**bits else None


def _text(value: Any) -> str:
    """PostgreSQL takes no NUL, and nobody takes half of a surrogate pair."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    if text.isascii():
        return text.replace("\0", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
