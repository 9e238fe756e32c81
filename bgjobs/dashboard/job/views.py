"""The page of one job, and what its buttons do."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from bgjobs import samples
from bgjobs.app_state import app_state
from bgjobs.dashboard import actions, htmx
from bgjobs.dashboard.access import may, who
from bgjobs.dashboard.addresses import address_of_list, number_of_job, place_in, whole_number
from bgjobs.dashboard.csrf import csrf_token
from bgjobs.dashboard.glance import assets_version, glance
from bgjobs.dashboard.job import queries
from bgjobs.dashboard.job.following import news
from bgjobs.dashboard.job.offers import offers
from bgjobs.dashboard.job.page import job_page
from bgjobs.dashboard.job.transcript import Source, whole
from bgjobs.dashboard.job.usage import usage_of
from bgjobs.dashboard.job.waiting import waiting
from bgjobs.dashboard.problems import POST_ONLY, answer
from bgjobs.dashboard.said import about, go_to
from bgjobs.lookups import job_row
from bgjobs.models import PENDING, RUNNING
from bgjobs.printed import printed_by

_WORDS_KEEP_FOR = 15  # seconds; what follows the clock in "in 3 minutes" is that old at the most


def add_to(blueprint: Blueprint) -> None:
    # The number of a job is any text here, so that we are who answers when it is no number.
    blueprint.add_url_rule("/jobs/<job_id>", "job", show_job)
    blueprint.add_url_rule("/jobs/<job_id>/attempts/<number>/output", "output", show_output)
    blueprint.add_url_rule("/_/jobs/<job_id>/usage", "usage", show_usage)
    action = f"/jobs/<job_id>/<any({','.join(actions.ON_A_JOB)}):action>"
    blueprint.add_url_rule(action, "act", act_on_job, methods=["POST"])
    blueprint.add_url_rule(action, "post_only", say_post_only)


def show_job(job_id: str) -> ResponseReturnValue:
    seen = glance()
    with seen.reading() as connection:
        story = queries.job_story(connection, number_of_job(job_id))
    waits = story.job.status == PENDING
    # What it waits for changes with other jobs and with the time.
    waited = (seen.pulse.newest_log, int(seen.now.timestamp()) // _WORDS_KEEP_FOR) if waits else ()
    tag = seen.tag(story.version, waited, csrf_token())
    if htmx.is_shown_already(tag):
        return htmx.not_modified(tag)
    with seen.reading() as connection:
        points = samples.of_job(connection, story.job.id)
    return htmx.page_or_partial(
        "job",
        tag,
        job=job_page(story, points, seen.state, seen.now, with_output=not htmx.wants_partial()),
        offers=[item for item in offers(story.job, seen.state.settings.kill_grace) if may(item.name)],
        waiting=waiting(seen.state, story.job.id, seen.now) if waits else None,
        health=seen.health,
    )


def show_usage(job_id: str) -> ResponseReturnValue:
    """What a job uses now: a part of its page that is asked for by itself, because it changes all the time."""
    if not htmx.wants_partial():
        return redirect(url_for(".job", job_id=job_id))
    state = app_state()
    with state.store.database.reading() as connection:
        job = job_row(connection, number_of_job(job_id))
        points = samples.of_job(connection, job.id)
    usage = usage_of(job, points, state.redactor, state.redactor.secrets(job.parameters))
    tag = htmx.tag_of(assets_version(), job.id, usage)
    if htmx.is_shown_already(tag):
        return htmx.not_modified(tag)
    return htmx.fragment("bgjobs/job/_usage.html", tag, job_id=job.id, usage=usage, usage_tag=tag)


def show_output(job_id: str, number: str) -> ResponseReturnValue:
    """All that an attempt printed, as plain text; with an offset, what is new to a page that follows it."""
    state, attempt = app_state(), whole_number(number) or 0
    with state.store.database.reading() as connection:
        job = job_row(connection, number_of_job(job_id))
        goes_on = job.status == RUNNING and queries.is_running(connection, job.id, attempt)
    printed = printed_by(state.store.database, state.folder, job.id, [attempt])[attempt]
    source = Source(printed, state.redactor, state.redactor.secrets(job.parameters))
    offset = place_in(request.args.get("offset"))
    if offset is not None:
        return news(source, offset, place_in(request.args.get("seen")) or 0, goes_on)
    response = Response(whole(source), mimetype="text/plain")
    if "download" in request.args:
        response.headers.set("Content-Disposition", "attachment", filename=f"job-{job.id}-attempt-{attempt}.txt")
    return response


def act_on_job(job_id: str, action: str) -> ResponseReturnValue:
    number = number_of_job(job_id)
    actions.ON_A_JOB[action](app_state(), number, who())
    return _show_again(action, number)


def say_post_only(job_id: str, action: str) -> ResponseReturnValue:
    response = answer(POST_ONLY)
    response.headers["Allow"] = "POST"
    return response


def _show_again(action: str, number: int) -> ResponseReturnValue:
    """The job after a button was pressed, and what there is to say of it: a form goes to its page, htmx gets the
    new state at once. After a removal there is only the list to go to."""
    said = about(action, number)
    if action == "delete":
        return go_to(url_for(address_of_list()), said)
    if not htmx.wants_partial():
        return go_to(url_for(".job", job_id=number), said)
    page = make_response(show_job(str(number)))
    page.set_data(page.get_data(as_text=True) + render_template("bgjobs/job/_answer.html", said=said))
    return page
