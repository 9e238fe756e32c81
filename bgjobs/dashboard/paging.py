"""What the lists have in common: how many rows a page has, what may be searched for, where the address leads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

from flask import Response, url_for

from bgjobs.dashboard import htmx
from bgjobs.dashboard.addresses import whole_number
from bgjobs.redaction import escape

PER_PAGE = (10, 25, 50, 100)
LONGEST_TERM = 200


class ListQuery(Protocol):
    """What an address of a list asks for."""

    @property
    def address(self) -> Mapping[str, Any]:
        """The query string of this view."""

    def with_term(self, term: str) -> Self: ...


def rows_per_page(text: str | None) -> int | None:
    """One of the numbers that can be chosen, None for anything else."""
    number = whole_number(text)
    return number if number in PER_PAGE else None


def search_term(text: str) -> str:
    """What was typed, as it is compared: texts are stored and shown escaped, so a term is escaped as well."""
    return escape(text[:LONGEST_TERM].strip())[:LONGEST_TERM]


def with_address(response: Response, endpoint: str, shown: ListQuery, asked: ListQuery) -> Response:
    """Let the address bar follow: typing goes on in the same entry of the history, any other step is one to
    come back from, and a poll is none."""
    if htmx.wants_partial() and shown.address != asked.address:
        typing = shown.with_term("").address == asked.with_term("").address
        name = "HX-Replace-Url" if typing else "HX-Push-Url"
        response.headers[name] = url_for(endpoint, **asked.address)
    return response
