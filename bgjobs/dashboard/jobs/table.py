"""The list of jobs as the template shows it: plain values, so that a template only puts them in their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Row

from bgjobs.bulk import BULK_LIMIT
from bgjobs.dashboard import formats
from bgjobs.dashboard.counts import Count, count_words
from bgjobs.dashboard.formats import Badge, Moment
from bgjobs.dashboard.jobs.queries import JobsPage
from bgjobs.dashboard.jobs.query import NEWEST, OLDEST, STATES, JobQuery
from bgjobs.models import PENDING, RUNNING
from bgjobs.redaction import Redactor

_PARAMETERS_LENGTH = 80
_NARROWED = (
    ("class", "of the class"),
    ("method", "of the method"),
    ("queue", "of the queue"),
    ("error", "failed by"),
    ("from", "since, in UTC,"),
    ("to", "until, in UTC,"),
)

Address = Mapping[str, Any]
"""The query string of a view."""


@dataclass(frozen=True, slots=True)
class Span:
    """A duration; ``since`` while it goes on, for bgjobs.js to count."""

    words: str
    since: str | None = None


@dataclass(frozen=True, slots=True)
class JobRow:
    id: int
    name: str
    full_name: str
    parameters: str
    badge: Badge
    queue: str
    attempt: str
    wait: Span
    duration: Span
    created: Moment | None


@dataclass(frozen=True, slots=True)
class Tab:
    """A state, with the way to its jobs."""

    name: str
    state: str
    address: Address
    count: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class JobTable:
    """One page of the list and its surroundings."""

    rows: list[JobRow]
    tabs: list[Tab]
    summary: str
    left_out: str | None
    ignored: list[str]
    narrowed: list[tuple[str, str]]  # what is chosen under "More filters", in words
    arrived: str | None
    first: Address
    previous: Address | None
    next: Address | None
    other_sort: Address
    is_newest_first: bool
    without_filter: Address | None  # where there is a filter
    any_state: Address
    term: str
    state: str
    newest_id: int
    bulk_query: str  # the filters, to be sent with an action on all that match
    matching: int  # jobs that an action on all of them would go for
    matching_words: str


def job_table(page: JobsPage, counts: Mapping[str, Count], redactor: Redactor, now: datetime) -> JobTable:
    query = page.query
    ids = [row.id for row in page.rows]
    matching = BULK_LIMIT if page.total is None else min(page.total.number, BULK_LIMIT)
    return JobTable(
        rows=[_row(row, redactor, now) for row in page.rows],
        tabs=[_tab(state, query, counts) for state in ("", *STATES)],
        summary=summary(page),
        left_out=_left_out(page),
        ignored=list(query.ignored),
        narrowed=[(words, query.filters[name]) for name, words in _NARROWED if name in query.filters],
        arrived=f"{count_words(page.arrived)} new {_noun(page.arrived)}" if page.arrived.number else None,
        first=query.at().address,
        previous=_previous(page, ids).address if page.has_previous else None,
        next=_next(page, ids).address if page.has_next else None,
        other_sort=query.sorted_by(OLDEST if query.sort == NEWEST else NEWEST).address,
        is_newest_first=query.sort == NEWEST,
        without_filter=query.unfiltered().address if query.filters else None,
        any_state=query.of_state("").address,
        term=query.term,
        state=query.state,
        newest_id=ids[0] if ids else 0,
        bulk_query=urlencode(query.address),
        matching=matching,
        matching_words=_matching_words(page.total, matching),
    )


def summary(page: JobsPage) -> str:
    """How many there are, and how many of them are shown."""
    shown = len(page.rows)
    if not shown:
        return "No jobs"
    if page.total is None:
        return f"The first {shown} results" if page.query.is_first_page else f"{shown} further results"
    if page.query.is_first_page and not page.has_next and not page.total.is_capped:
        return f"{count_words(page.total)} {_noun(page.total)}"
    order = "newest " if page.query.sort == NEWEST else "oldest "
    return f"{shown} {order if page.query.is_first_page else ''}of {count_words(page.total)} {_noun(page.total)}"


def _previous(page: JobsPage, ids: list[int]) -> JobQuery:
    return _beyond(page, page.beyond if page.query.goes_back else ids[0] if ids else None, back=True)


def _next(page: JobsPage, ids: list[int]) -> JobQuery:
    return _beyond(page, ids[-1] if page.query.goes_back and ids else page.beyond, back=False)


def _beyond(page: JobsPage, number: int | None, *, back: bool) -> JobQuery:
    if number is None:
        return page.query.at()
    upwards = (page.query.sort == NEWEST) == back
    return page.query.at(after=number) if upwards else page.query.at(before=number)


def _left_out(page: JobsPage) -> str | None:
    if not page.is_cut or page.beyond is None:
        return None
    way = "up" if page.query.ascends else "back"
    return f"Looked at the jobs {way} to #{page.beyond:,} so far; the button below goes on from there."


def _matching_words(total: Count | None, matching: int) -> str:
    """``all 214 matching``, or ``the newest 1,000 matching``."""
    if total is None or total.is_capped or total.number > matching:
        return f"up to {matching:,} matching"
    return f"all {matching:,} matching"


def _noun(value: Count) -> str:
    return "job" if value.number == 1 and not value.is_capped else "jobs"


def _tab(state: str, query: JobQuery, counts: Mapping[str, Count]) -> Tab:
    count = counts.get(state)
    return Tab(
        name=state.capitalize() or "All",
        state=state,
        address=query.of_state(state).address,
        count=count_words(count) if count else "",
        is_current=state == query.state,
    )


def _row(row: Row[Any], redactor: Redactor, now: datetime) -> JobRow:
    parameters = formats.compact(row.parameters, redactor)
    return JobRow(
        id=row.id,
        name=formats.short_name(row.class_name, row.method_name),
        full_name=f"{formats.line(row.class_name)}::{formats.line(row.method_name)}",
        parameters=parameters if len(parameters) <= _PARAMETERS_LENGTH else f"{parameters[:_PARAMETERS_LENGTH]}…",
        badge=formats.job_badge(row.status, retry_count=row.retry_count, scheduled_at=row.scheduled_at, now=now),
        queue=formats.line(row.queue),
        attempt=attempt(row.attempt, row.retry_count, row.max_retries),
        wait=wait(row.status, row.scheduled_at, row.started_at, now),
        duration=_duration(row, now),
        created=formats.moment(row.created_at, now),
    )


def attempt(begun: Any, retry_count: Any, max_retries: Any) -> str:
    """``2/4``: the attempt of those that there may be; a dash before the first."""
    if not isinstance(retry_count, int) or not isinstance(max_retries, int):
        return f"{formats.line(retry_count)[:10]}/{formats.line(max_retries)[:10]}"
    return f"{retry_count + 1}/{max_retries + 1}" if begun or retry_count else formats.DASH


def wait(status: Any, due: Any, started: Any, now: datetime) -> Span:
    """How long a job waited for its last start, or has waited since it was due. Never less than nothing."""
    if status == PENDING:
        is_due = isinstance(due, datetime) and due <= now
        return Span(formats.between(due, now), _iso(due)) if is_due else Span(formats.DASH)
    if not isinstance(due, datetime) or not isinstance(started, datetime) or started < due:
        return Span(formats.DASH)  # it was put back after its last start, and then cancelled
    return Span(formats.between(due, started))


def _duration(row: Row[Any], now: datetime) -> Span:
    if row.status == PENDING or not isinstance(row.started_at, datetime):
        return Span(formats.DASH)
    if row.status == RUNNING:
        return Span(formats.between(row.started_at, now), _iso(row.started_at))
    return Span(formats.between(row.started_at, row.completed_at))


def _iso(value: datetime) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
