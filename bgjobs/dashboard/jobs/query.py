"""What an address of the list of jobs asks for. What makes no sense is left out, and the page says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bgjobs.dashboard.addresses import job_searched_for, whole_number
from bgjobs.dashboard.paging import PER_PAGE, rows_per_page, search_term
from bgjobs.models import CANCELLED, COMPLETED, FAILED, NAME_LENGTH, PENDING, RUNNING
from bgjobs.redaction import escape

RETRYING, SCHEDULED = "retrying", "scheduled"
STATES = (PENDING, RUNNING, RETRYING, SCHEDULED, COMPLETED, FAILED, CANCELLED)
NEWEST, OLDEST = SORTS = ("newest", "oldest")
SEPARATOR = "::"
"""Between a class and a method. It stands in no name of a class."""

_LONGEST_NAME_SHOWN = 40
_ONLY_A_DAY = len("2026-11-24")
_KNOWN = frozenset(
    (
        "state",
        "class",
        "method",
        "queue",
        "error",
        "q",
        "from",
        "to",
        "sort",
        "per_page",
        "before",
        "after",
        "top",
        "result",
    )
)


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs to show. ``before`` and ``after`` are ids: the page is what lies beyond them. ``since`` is when
    the oldest of them was dispatched, ``until`` when all of them already were."""

    state: str = ""
    class_name: str = ""
    method_name: str = ""
    queue: str = ""
    exception: str = ""  # by which it failed
    since: datetime | None = None
    until: datetime | None = None
    term: str = ""
    sort: str = NEWEST
    per_page: int = PER_PAGE[0]
    before: int | None = None
    after: int | None = None
    top: int | None = None  # the reader is busy with the rows up to this one: leave newer ones out
    ignored: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, args: Mapping[str, str]) -> JobQuery:
        reader = _Reader(args)
        before, after = reader.value("before", whole_number), reader.value("after", whole_number)
        class_name, _, method_of_class = reader.text("class").partition(SEPARATOR)
        return cls(
            state=reader.choice("state", STATES),
            class_name=class_name,
            method_name=method_of_class or reader.text("method"),
            queue=reader.text("queue"),
            exception=reader.text("error"),
            since=reader.value("from", _start),
            until=reader.value("to", _end),
            term=search_term(args.get("q", "")),
            sort=reader.choice("sort", SORTS) or NEWEST,
            per_page=reader.value("per_page", rows_per_page) or PER_PAGE[0],
            before=None if after else before,
            after=after,
            top=reader.value("top", whole_number),
            ignored=tuple(reader.unknown()),
        )

    @property
    def job_number(self) -> int | None:
        return job_searched_for(self.term)

    @property
    def is_first_page(self) -> bool:
        return self.before is None and self.after is None

    @property
    def ascends(self) -> bool:
        """Whether the walk goes from the oldest on: it begins at a cursor, if there is one."""
        if self.after is not None:
            return True
        return self.sort == OLDEST and self.before is None

    @property
    def goes_back(self) -> bool:
        """Whether the page lies before the one that the reader comes from: then its walk goes the other way."""
        return self.ascends != (self.sort == OLDEST)

    @property
    def filters(self) -> dict[str, Any]:
        """The part of the query string that says which jobs these are."""
        job_class = f"{self.class_name}{SEPARATOR}{self.method_name}" if self.method_name else self.class_name
        values = {
            "state": self.state,
            "class": job_class if self.class_name else "",
            "method": "" if self.class_name else self.method_name,
            "queue": self.queue,
            "error": self.exception,
            "from": _typed(self.since),
            "to": _typed(self.until),
            "q": self.term,
        }
        return {name: value for name, value in values.items() if value}

    @property
    def address(self) -> dict[str, Any]:
        """The query string of this view, defaults left out."""
        values = {
            "sort": self.sort if self.sort != NEWEST else None,
            "per_page": self.per_page if self.per_page != PER_PAGE[0] else None,
            "before": self.before,
            "after": self.after,
        }
        return {**self.filters, **{name: value for name, value in values.items() if value}}

    def at(self, *, before: int | None = None, after: int | None = None) -> JobQuery:
        """The same jobs at another place."""
        return replace(self, before=before, after=after, top=None)

    def with_term(self, term: str) -> JobQuery:
        return replace(self, term=term)

    def of_state(self, state: str) -> JobQuery:
        return replace(self.at(), state=state)

    def sorted_by(self, sort: str) -> JobQuery:
        return replace(self.at(), sort=sort)

    def unfiltered(self) -> JobQuery:
        return JobQuery(sort=self.sort, per_page=self.per_page)


class _Reader:
    """Reads values, and remembers those that make no sense. An empty value is none, as forms send them."""

    def __init__(self, args: Mapping[str, str]) -> None:
        self._args = args
        self._ignored: list[str] = []

    def text(self, name: str) -> str:
        value = self._args.get(name, "").strip()
        if len(value) <= NAME_LENGTH * 2 + len(SEPARATOR) and value == escape(value):
            return value
        self._ignored.append(name)
        return ""

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        return self.value(name, lambda text: text if text in choices else None) or ""

    def value(self, name: str, read: Callable[[str], Any]) -> Any:
        text = self._args.get(name, "").strip()
        found = read(text) if text else None
        if text and found is None:
            self._ignored.append(name)
        return found

    def unknown(self) -> list[str]:
        """The names of what was not understood, fit to be shown."""
        strange = [name for name, value in self._args.items() if name not in _KNOWN]
        return [escape(name)[:_LONGEST_NAME_SHOWN] for name in (*self._ignored, *strange)][:5]


def _start(text: str) -> datetime | None:
    """``2026-11-24`` or ``2026-11-24T10:30``, in UTC where nothing else is said."""
    try:
        found = datetime.fromisoformat(text[:40])
        utc = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        return utc.replace(microsecond=0)
    except (ValueError, OverflowError):
        return None


def _typed(time: datetime | None) -> str:
    """As the field of a form takes it: UTC, without saying so."""
    if time is None:
        return ""
    return time.replace(tzinfo=None).isoformat(timespec="seconds" if time.second else "minutes")


def _end(text: str) -> datetime | None:
    """The same, but of a day it is the end."""
    found = _start(text)
    if found is None or len(text) > _ONLY_A_DAY:
        return found
    try:
        return found + timedelta(days=1)
    except OverflowError:
        return found
