"""The first page: the overview, and the log table below it. Each of the two has news of its own."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from bgjobs.dashboard import htmx
from bgjobs.dashboard.csrf import csrf_token
from bgjobs.dashboard.glance import Glance, glance
from bgjobs.dashboard.jobs.selection import MEANINGS, TYPED_ABOVE
from bgjobs.dashboard.logs.place import Place
from bgjobs.dashboard.logs.views import logs_at, tag_of_logs
from bgjobs.dashboard.overview import queries
from bgjobs.dashboard.overview.overview import overview
from bgjobs.dashboard.overview.past import past_of
from bgjobs.dashboard.overview.range import RANGES, Range, range_of
from bgjobs.dashboard.section import Section
from bgjobs.metrics import minute_of

SECTION = Section("Overview", ".overview", "o")


def add_to(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("", "overview", show_overview, strict_slashes=False)
    blueprint.add_url_rule("/_/overview", "overview_numbers", show_numbers)


def show_overview() -> ResponseReturnValue:
    """The whole page; for htmx the log table alone, which asks for its news here."""
    seen, looked_at = glance(), range_of(request.args)
    place = Place(".overview", looked_at.kept)
    tag = tag_of_logs(seen, place)
    if htmx.is_shown_already(tag):
        return htmx.not_modified(tag)
    if htmx.wants_partial():
        return logs_at(place, "overview", seen, tag)
    running = _running(seen)
    numbers = _numbers(seen, looked_at, running)
    numbers |= {"ranges": RANGES, "numbers_tag": _tag(seen, looked_at, running)}
    return logs_at(place, "overview", seen, tag, **numbers)


def show_numbers() -> ResponseReturnValue:
    """The overview alone, for its own poll."""
    looked_at = range_of(request.args)
    if not htmx.wants_partial():
        return redirect(url_for(".overview", **looked_at.kept))
    seen = glance()
    running = _running(seen)
    tag = _tag(seen, looked_at, running)
    if htmx.is_shown_already(tag):
        return htmx.not_modified(tag)
    numbers = _numbers(seen, looked_at, running)
    return htmx.fragment("bgjobs/overview/_numbers.html", tag, numbers_tag=tag, health=seen.health, **numbers)


def _running(seen: Glance) -> Any:
    with seen.reading() as connection:
        return queries.running(connection)


def _tag(seen: Glance, looked_at: Range, running: Any) -> str:
    """The numbers change with each log, at each minute, and with the progress of what runs."""
    return seen.tag(seen.pulse, looked_at, minute_of(seen.now), running, csrf_token())


def _numbers(seen: Glance, looked_at: Range, running: Any) -> dict[str, Any]:
    with seen.reading() as connection:
        found = queries.find(connection, looked_at, seen.now, past_of(seen.state.store.database))
    shown = overview(seen, looked_at, found, running)
    return {"overview": shown, "meanings": MEANINGS, "typed_above": TYPED_ABOVE}
