"""Failed jobs in groups: the same method of the same class with the same exception is one trouble. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bgjobs.dashboard.causes import exception_of


@dataclass(slots=True)
class Failures:
    """Jobs that failed alike."""

    class_name: Any
    method_name: Any
    exception: str
    newest_id: int
    number: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, ended: Any) -> None:
        self.number += 1
        if isinstance(ended, datetime):
            self.first = ended if self.first is None else min(self.first, ended)
            self.last = ended if self.last is None else max(self.last, ended)


def grouped(rows: Iterable[Any]) -> list[Failures]:
    """The groups of ``rows``, which come the newest first, in the order of their newest job."""
    found: dict[tuple[Any, Any, str], Failures] = {}
    for row in rows:
        exception = exception_of(row.error)
        key = row.class_name, row.method_name, exception
        group = found.get(key)
        if group is None:
            group = found[key] = Failures(*key, newest_id=row.id)
        group.add(row.completed_at)
    return list(found.values())
