"""What an address of the log table asks for. Values that make no sense are clamped or left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bgjobs.dashboard.addresses import whole_number
from bgjobs.models import LOG_TYPES
from bgjobs.redaction import escape

PER_PAGE = (10, 25, 50, 100)
LONGEST_TERM = 200
DEEPEST_ROW = 10_000
"""``page`` counts rows from the newest one on, so it is for the first pages; cursors go on from there."""

_job_number = re.compile(r"#?([0-9]{1,18})", re.ASCII).fullmatch


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
        per_page = whole_number(args.get("per_page"))
        per_page = per_page if per_page in PER_PAGE else PER_PAGE[0]
        return cls(
            # Messages are stored escaped, so what is looked for is escaped the same way.
            term=escape(args.get("q", "")[:LONGEST_TERM].strip())[:LONGEST_TERM],
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
        number = _job_number(self.term)
        return int(number[1]) if number else None

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
