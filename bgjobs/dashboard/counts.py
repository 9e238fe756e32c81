"""Counting that stays cheap: no count goes further than 10,000 rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

COUNTED = 10_000
"""No count goes further: counting millions of rows is what makes a dashboard hang."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number of rows, or "more than that"."""

    number: int
    is_capped: bool = False


def counted(connection: Connection, rows: Select[Any]) -> Count:
    """How many rows ``rows`` selects, up to :data:`COUNTED`."""
    number = connection.scalar(select(func.count()).select_from(rows.limit(COUNTED + 1).subquery())) or 0
    return Count(min(number, COUNTED), number > COUNTED)


def count_words(value: Count) -> str:
    """``12,345``, or ``10,000+`` where nobody counted further."""
    return f"{value.number:,}{'+' if value.is_capped else ''}"
