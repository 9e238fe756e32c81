"""The log table, at the first address of the dashboard."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from bgjobs.dashboard import htmx
from bgjobs.dashboard.glance import glance
from bgjobs.dashboard.logs import queries
from bgjobs.dashboard.logs.query import LogQuery
from bgjobs.dashboard.logs.table import log_table
from bgjobs.dashboard.paging import PER_PAGE, with_address
from bgjobs.dashboard.section import Section

SECTION = Section("Logs", ".logs", "l")


def add_to(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("", "logs", show_logs, strict_slashes=False)


def show_logs() -> ResponseReturnValue:
    seen, query = glance(), LogQuery.of(request.args)
    tag = seen.tag(seen.pulse, query)
    if htmx.is_shown_already(tag):
        return htmx.not_modified(tag)
    with seen.reading() as connection:
        page = queries.log_page(connection, query)
    table = log_table(page, seen.state.redactor, seen.now)
    response = htmx.page_or_partial(
        "logs", tag, table=table, query=page.query, health=seen.health, per_page_choices=PER_PAGE
    )
    shown = LogQuery.of(htmx.query_of_the_address_bar())
    return with_address(response, ".logs", shown, page.query)
