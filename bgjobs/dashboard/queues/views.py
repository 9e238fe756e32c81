"""The page of the queues, and its two buttons."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from bgjobs.app_state import app_state
from bgjobs.dashboard import htmx
from bgjobs.dashboard.access import who
from bgjobs.dashboard.csrf import csrf_token
from bgjobs.dashboard.glance import glance
from bgjobs.dashboard.queues import acting, queries
from bgjobs.dashboard.queues.table import queue_table
from bgjobs.dashboard.section import Section

SECTION = Section("Queues", ".queues", "q")


def add_to(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/queues", "queues", show_queues)
    # The name is in the form: a queue may be called "..", which no address can hold.
    blueprint.add_url_rule(
        f"/queues/<any({','.join(acting.STEPS)}):step>",
        "act_on_queue",
        act_on_queue,
        methods=["POST"],
        defaults={"action": "queues"},  # the right that it takes
    )


def show_queues() -> ResponseReturnValue:
    seen = glance()
    with seen.reading() as connection:
        found = queries.queues_found(connection, seen.now)
    tag = seen.tag(found, csrf_token())
    if htmx.is_shown_already(tag):
        return htmx.not_modified(tag)
    return htmx.page_or_partial("queues", tag, table=queue_table(found, seen.now), health=seen.health)


def act_on_queue(step: str, action: str) -> ResponseReturnValue:
    acting.act(app_state(), step, request.form.get("queue", ""), who())
    return show_queues() if htmx.wants_partial() else redirect(url_for(".queues"), 303)
