"""What an address of the log table asks for. Values that make no sense are clamped or left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bgjobs.dashboard.addresses import job_searched_for, whole_number
from bgjobs.dashboard.paging import PER_PAGE, rows_per_page, search_term
from bgjobs.models import LOG_TYPES

DEEPEST_ROW = 10_000
"""``page`` counts rows from the newest one on, so it is for the first pages; cursors go on from there."""


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which logs to show. ``before`` and ``after`` are ids of logs: the page is what lies beyond them."""

    term: str = ""
    type: str = ""
    per_page: int = PER_PAGE[0]
    page: int = 1
    before: int | None = None
    after: int | None = None
    top: int | None = None  # the reader is busy with the rows up to this one: leave newer ones out

    @classmethod
    def of(cls, args: Mapping[str, str]) -> LogQuery:
        per_page = rows_per_page(args.get("per_page")) or PER_PAGE[0]
        return cls(
            term=search_term(args.get("q", "")),
            type=args.get("type", "") if args.get("type") in LOG_TYPES else "",
            per_page=per_page,
            page=min(max(whole_number(args.get("page")) or 1, 1), DEEPEST_ROW // per_page),
            before=whole_number(args.get("before")),
            after=whole_number(args.get("after")),
            top=whole_number(args.get("top")),
        )

    @property
    def job_number(self) -> int | None:
        """The id of a job, when that is what was typed: ``1042`` or ``#1042``."""
        return job_searched_for(self.term)

    @property
    def is_first_page(self) -> bool:
        return self.page == 1 and self.before is None and self.after is None

    @property
    def offset(self) -> int:
        """How many rows to skip; a cursor says where to begin by itself."""
        return 0 if self.before or self.after else (self.page - 1) * self.per_page

    @property
    def address(self) -> dict[str, Any]:
        """The query string of this view, defaults left out."""
        values = {
            "q": self.term,
            "type": self.type,
            "per_page": self.per_page if self.per_page != PER_PAGE[0] else None,
            "page": self.page if self.page != 1 and not (self.before or self.after) else None,
            "before": self.before if not self.after else None,
            "after": self.after,
        }
        return {name: value for name, value in values.items() if value}

    def at(self, *, before: int | None = None, after: int | None = None) -> LogQuery:
        """The same search at another place."""
        return replace(self, page=1, before=before, after=after, top=None)

    def with_term(self, term: str) -> LogQuery:
        return replace(self, term=term)
