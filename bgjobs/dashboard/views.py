"""The pages, and what their buttons do. What a page shows is asked in ``queries`` and put into words in
``log_table`` and ``job_page``; who may see it is decided in ``access``."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue

from bgjobs.app_state import app_state
from bgjobs.dashboard import actions, htmx, queries
from bgjobs.dashboard.access import check_access, check_may_act, may_act, who
from bgjobs.dashboard.csrf import check_origin_and_token, csrf_token, keep_token, leave_us_to_ourselves
from bgjobs.dashboard.glance import assets_version, glance
from bgjobs.dashboard.headers import add_headers, is_static
from bgjobs.dashboard.job_page import job_page, newest_output
from bgjobs.dashboard.log_query import PER_PAGE, LogQuery, whole_number
from bgjobs.dashboard.log_table import count, log_table
from bgjobs.dashboard.problems import POST_ONLY, answer, answer_errors
from bgjobs.dashboard.transcript import whole
from bgjobs.exceptions import JobNotFound
from bgjobs.locations import static_folder, templates_folder
from bgjobs.lookups import job_row


def make_blueprint(url: str) -> Blueprint:
    """The dashboard, to be mounted at ``url``."""
    blueprint = Blueprint(
        "bgjobs",
        __name__,
        url_prefix=url,
        template_folder=templates_folder(),
        static_folder=static_folder(),
        static_url_path="/static",
    )
    blueprint.url_value_preprocessor(lambda endpoint, values: leave_us_to_ourselves())
    blueprint.before_request(_guard)
    blueprint.after_request(_finish)
    blueprint.context_processor(_names_for_templates)
    answer_errors(blueprint)
    # The number of a job is any text here, so that we are who answers when it is no number.
    blueprint.add_url_rule("", "logs", show_logs, strict_slashes=False)
    blueprint.add_url_rule("/jobs/<job_id>", "job", show_job)
    blueprint.add_url_rule("/jobs/<job_id>/attempts/<number>/output", "output", show_output)
    blueprint.add_url_rule("/jobs/<job_id>/retry", "retry", retry_job, methods=["POST"])
    blueprint.add_url_rule("/jobs/<job_id>/cancel", "cancel", cancel_job, methods=["POST"])
    blueprint.add_url_rule("/jobs/<job_id>/<any(retry,cancel):action>", "post_only", say_post_only)
    return blueprint


def show_logs() -> ResponseReturnValue:
    seen, query = glance(), LogQuery.of(request.args)
    tag = seen.tag(seen.pulse, query)
    if htmx.is_shown_already(tag):
        return htmx.not_modified(tag)
    with seen.reading() as connection:
        page = queries.log_page(connection, query)
    table = log_table(page, seen.state.redactor, seen.now)
    response = htmx.page_or_partial("logs", tag, table=table, query=page.query, health=seen.health)
    return _with_address(response, page.query)


def show_job(job_id: str) -> ResponseReturnValue:
    seen = glance()
    with seen.reading() as connection:
        story = queries.job_story(connection, _number(job_id))
    tag = seen.tag(story.version, newest_output(story, seen.state.folder), csrf_token())
    if htmx.is_shown_already(tag):
        return htmx.not_modified(tag)
    return htmx.page_or_partial("job", tag, job=job_page(story, seen.state, seen.now), health=seen.health)


def show_output(job_id: str, number: str) -> ResponseReturnValue:
    """All that an attempt printed, as plain text."""
    state = app_state()
    with state.store.database.reading() as connection:
        job = job_row(connection, _number(job_id))
    path = state.folder.output_file(job.id, whole_number(number) or 0)
    return Response(whole(path, state.redactor, state.redactor.secrets(job.parameters)), mimetype="text/plain")


def retry_job(job_id: str) -> ResponseReturnValue:
    actions.retry(app_state(), _number(job_id), who())
    return _show_again(job_id)


def cancel_job(job_id: str) -> ResponseReturnValue:
    actions.cancel(app_state(), _number(job_id), who())
    return _show_again(job_id)


def say_post_only(job_id: str, action: str) -> ResponseReturnValue:
    response = answer(POST_ONLY)
    response.headers["Allow"] = "POST"
    return response


def _guard() -> ResponseReturnValue | None:
    """Before everything else: may this request be here, and may it act? A new route is covered by itself."""
    if is_static():
        return None
    response = check_access()
    if response is None and request.method not in ("GET", "HEAD", "OPTIONS"):
        check_may_act()
        check_origin_and_token()
    return response


def _finish(response: Response) -> Response:
    keep_token(response)
    return add_headers(response)


def _show_again(job_id: str) -> ResponseReturnValue:
    """The job after a button was pressed: a form goes to its page, htmx gets the new state at once."""
    return show_job(job_id) if htmx.wants_partial() else redirect(url_for(".job", job_id=job_id), 303)


def _with_address(response: Response, query: LogQuery) -> Response:
    """Let the address bar follow: typing goes on in the same entry of the history, any other step is one to
    come back from, and a poll is none."""
    shown = LogQuery.of(htmx.query_of_the_address_bar())
    if htmx.wants_partial() and shown.address != query.address:
        typing = shown.with_term("").address == query.with_term("").address
        name = "HX-Replace-Url" if typing else "HX-Push-Url"
        response.headers[name] = url_for(".logs", **query.address)
    return response


def _number(job_id: str) -> int:
    number = whole_number(job_id)
    if number is None:
        raise JobNotFound(job_id)
    return number


def _names_for_templates() -> dict[str, Any]:
    return {
        "app_name": current_app.name,
        "assets_version": assets_version(),
        "count": count,
        "csrf_token": csrf_token,
        "may_act": may_act,
        "per_page_choices": PER_PAGE,
    }
