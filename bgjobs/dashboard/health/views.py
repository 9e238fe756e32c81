"""The page of the health. It looks when somebody asks, and not by itself: one check takes the write lock."""

from __future__ import annotations

from threading import Lock

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from bgjobs.dashboard.access import may_everything
from bgjobs.dashboard.glance import glance
from bgjobs.dashboard.health.page import as_text, health_page
from bgjobs.dashboard.problems import Problem, Refused
from bgjobs.dashboard.section import Section

SECTION = Section("Health", ".health", "h")

_BUSY = Problem(
    409, "All checks are being run already", "Somebody else has just asked for them. Try again in a minute."
)
# The application is loaded once for it, which takes seconds and the memory of another one.
_one_at_a_time = Lock()


def add_to(blueprint: Blueprint) -> None:
    # POST runs all checks. That changes nothing, but it is work: so it takes every right, and a form of ours.
    blueprint.add_url_rule("/health", "health", show_health, methods=["GET", "POST"])
    blueprint.add_url_rule("/health.txt", "diagnostics", show_diagnostics)


def show_health() -> ResponseReturnValue:
    if request.method != "POST":
        return _page(all_checks=False)
    if not _one_at_a_time.acquire(blocking=False):
        raise Refused(_BUSY)
    try:
        return _page(all_checks=True)
    finally:
        _one_at_a_time.release()


def show_diagnostics() -> ResponseReturnValue:
    """Everything as plain text, to be sent to somebody."""
    seen = glance()
    return Response(as_text(health_page(seen.state, seen.now)), mimetype="text/plain")


def _page(*, all_checks: bool) -> ResponseReturnValue:
    seen = glance()
    page = health_page(seen.state, seen.now, all_checks=all_checks)
    return render_template(
        "bgjobs/health/page.html", page=page, text=as_text(page), health=seen.health, may_do_all=may_everything()
    )
