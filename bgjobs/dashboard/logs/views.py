"""The log table: at an address of its own, and on the first page below the overview."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from bgjobs.dashboard import htmx
from bgjobs.dashboard.glance import Glance, glance
from bgjobs.dashboard.logs import queries
from bgjobs.dashboard.logs.place import Place
from bgjobs.dashboard.logs.query import LogQuery
from bgjobs.dashboard.logs.table import log_table
from bgjobs.dashboard.paging import PER_PAGE, with_address
from bgjobs.dashboard.section import Section

SECTION = Section("Logs", ".logs", "l")


def add_to(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/logs", "logs", show_logs)


def show_logs() -> ResponseReturnValue:
    seen, place = glance(), Place(".logs")
    tag = tag_of_logs(seen, place)
    return htmx.not_modified(tag) if htmx.is_shown_already(tag) else logs_at(place, "logs", seen, tag)


def tag_of_logs(seen: Glance, place: Place) -> str:
    return seen.tag(seen.pulse, place, LogQuery.of(request.args))


def logs_at(place: Place, page: str, seen: Glance, tag: str, **beside: Any) -> Response:
    """The page that has the table, or the table alone. ``beside`` is what else the page shows."""
    with seen.reading() as connection:
        found = queries.log_page(connection, LogQuery.of(request.args))
    table = log_table(found, seen.state.redactor, seen.now)
    response = htmx.page_or_partial(
        page,
        tag,
        table=table,
        query=found.query,
        place=place,
        health=seen.health,
        per_page_choices=PER_PAGE,
        **beside,
    )
    shown = LogQuery.of(htmx.query_of_the_address_bar())
    return with_address(response, place.url(found.query.address), shown, found.query)
