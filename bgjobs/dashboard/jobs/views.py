"""The list of jobs, and the address that acts on several of them."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from bgjobs import bulk
from bgjobs.app_state import AppState
from bgjobs.by_hand import MANY_AT_ONCE, Tally, act
from bgjobs.dashboard import htmx
from bgjobs.dashboard.access import action_of_request, may, who
from bgjobs.dashboard.csrf import csrf_token
from bgjobs.dashboard.glance import Glance, glance
from bgjobs.dashboard.jobs import queries
from bgjobs.dashboard.jobs.choices import choices
from bgjobs.dashboard.jobs.query import JobQuery
from bgjobs.dashboard.jobs.selection import MEANINGS, MOST_SELECTED, Selection, question, result_of, result_words
from bgjobs.dashboard.jobs.table import job_table
from bgjobs.dashboard.paging import PER_PAGE, with_address
from bgjobs.dashboard.problems import NO_SUCH_ACTION, POST_ONLY, TOO_MANY, Refused, answer
from bgjobs.dashboard.section import Section
from bgjobs.models import PENDING, RUNNING
from bgjobs.removal import CHUNK

SECTION = Section("Jobs", ".jobs", "j")


def add_to(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/jobs", "jobs", show_jobs, strict_slashes=False)
    blueprint.add_url_rule("/bulk", "bulk", act_on_many, methods=["POST"])
    blueprint.add_url_rule("/bulk", "bulk_post_only", say_post_only)


def show_jobs() -> ResponseReturnValue:
    seen, query = glance(), JobQuery.of(request.args)
    offered = choices(seen.state)
    counts = {**offered.counts, PENDING: seen.pulse.pending, RUNNING: seen.pulse.running}
    tag = seen.tag(seen.pulse, query, query.ignored, sorted(counts.items()), csrf_token())
    if htmx.is_shown_already(tag):
        return htmx.not_modified(tag)
    with seen.reading() as connection:
        page = queries.jobs_page(connection, query, seen.state.redactor, seen.now)
    response = htmx.page_or_partial(
        "jobs",
        tag,
        table=job_table(page, counts, seen.state.redactor, seen.now),
        query=page.query,
        health=seen.health,
        offered=offered,
        per_page_choices=PER_PAGE,
        result=result_words(request.args.get("result", "")),
        meanings=MEANINGS,
        can_act=any(map(may, MANY_AT_ONCE)),
    )
    return with_address(response, ".jobs", JobQuery.of(htmx.query_of_the_address_bar()), page.query)


def act_on_many() -> ResponseReturnValue:
    """Do it to a few jobs at once, or have a job of our own do it to all that match."""
    seen, action, selection = glance(), action_of_request(), Selection.of(request.form)
    if action not in MANY_AT_ONCE:
        raise Refused(NO_SUCH_ACTION)
    if len(selection.job_ids) > MOST_SELECTED:
        raise Refused(TOO_MANY)
    job_ids = _all_of(seen, selection) if selection.is_all else list(selection.job_ids)
    if not job_ids:
        return _back_to(selection.query, "none")
    if selection.must_be_asked(action):
        number = len(job_ids)
        return render_template(
            "bgjobs/jobs/confirm.html", question=question(action, number), number=number, fields=_repeated()
        )
    if selection.is_all:
        return redirect(url_for(".job", job_id=bulk.dispatch(seen.state, action, job_ids, who())), 303)
    return _back_to(selection.query, result_of(action, _act(seen.state, action, job_ids)))


def say_post_only() -> ResponseReturnValue:
    response = answer(POST_ONLY)
    response.headers["Allow"] = "POST"
    return response


def _all_of(seen: Glance, selection: Selection) -> list[int]:
    with seen.reading() as connection:
        return queries.all_matching(connection, selection.query, seen.state.redactor, seen.now, selection.told)


def _act(state: AppState, action: str, job_ids: list[int]) -> Tally:
    tally = Tally()
    for start in range(0, len(job_ids), CHUNK):
        tally += act(state, action, job_ids[start : start + CHUNK], who())
    return tally


def _repeated() -> list[tuple[str, str]]:
    """What was sent, to be sent again with the answer."""
    form: MultiDict[str, str] = request.form
    kept = ("job", "all", "query")
    return [(name, value) for name in kept for value in form.getlist(name)]


def _back_to(query: JobQuery, result: str) -> ResponseReturnValue:
    return redirect(url_for(".jobs", **query.address, result=result), 303)
