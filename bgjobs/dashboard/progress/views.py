"""The address that a page of the host asks how far a job is, and what stands in that page."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue

from bgjobs.app_state import AppState, app_state
from bgjobs.dashboard.htmx import wants_partial
from bgjobs.dashboard.progress.shown import GONE, OLD, Shown, shown
from bgjobs.dashboard.progress.ticket import NoTicket, OldTicket, Ticket, ticket_of

_STATUS = {"gone": 404, "old": 410, "unknown": 503}


def add_to(blueprint: Blueprint) -> None:
    # Not asked whether it may be here (access.py): the token says what its holder may see.
    blueprint.add_url_rule("/progress/<token>", "progress", show_progress, provide_automatic_options=False)
    blueprint.add_app_template_global(in_a_page, "bgjobs_progress_of")


def show_progress(token: str) -> ResponseReturnValue:
    state = app_state()
    try:
        found = shown(state, ticket_of(state, token))
    except OldTicket:
        found = OLD
    except NoTicket:
        return _answer(GONE, 404)
    # A fragment is swapped in, whatever it says: an error status would leave the last one standing.
    return _answer(found, 200 if wants_partial() else _STATUS.get(found.status, 200))


def accepted(state: AppState, job_id: int, *, with_result: bool) -> Response:
    """The answer 202 to whoever asked for a job, with the address of its progress."""
    found = shown(state, Ticket(job_id, with_result), may_be_uncommitted=True)
    response = _answer(found, 202, brings_style=True)
    response.headers["Location"] = found.address
    return response


def in_a_page(job: Any, with_result: bool) -> Shown:
    """What the macro in ``progress.html`` shows. ``job`` is a handle or the number of a job."""
    return shown(app_state(), Ticket(int(getattr(job, "id", job)), bool(with_result)), may_be_uncommitted=True)


def _answer(found: Shown, status: int, *, brings_style: bool = False) -> Response:
    """A fragment for htmx, a small page for a browser, JSON for everybody else."""
    if wants_partial():
        body: Response | str = render_template("bgjobs/progress/_box.html", shown=found, brings_style=brings_style)
    elif request.accept_mimetypes.best_match(("application/json", "text/html")) == "text/html":
        body = render_template("bgjobs/progress/page.html", shown=found)
    else:
        body = jsonify(found.to_json())
    response = make_response(body, status)
    response.headers["Cache-Control"] = "no-store"
    response.vary.update(("Accept", "HX-Request"))
    return response
