"""The dashboard as a whole: who is let in, what every answer carries, and which pages there are.

A page is a folder: its addresses in ``views``, what it asks the tables in ``queries``, and what the template
shows, as plain values, in a file named after it.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, request, url_for
from flask.typing import ResponseReturnValue

from bgjobs.dashboard.access import action_of_request, check_access, check_may, is_for_everybody, may
from bgjobs.dashboard.counts import count_words
from bgjobs.dashboard.csrf import check_origin_and_token, csrf_token, keep_token, leave_us_to_ourselves
from bgjobs.dashboard.edit import views as edit
from bgjobs.dashboard.glance import assets_version
from bgjobs.dashboard.headers import add_headers
from bgjobs.dashboard.health import views as health
from bgjobs.dashboard.job import views as job
from bgjobs.dashboard.jobs import views as jobs
from bgjobs.dashboard.logs import views as logs
from bgjobs.dashboard.overview import views as overview
from bgjobs.dashboard.problems import answer_errors
from bgjobs.dashboard.processes import views as processes
from bgjobs.dashboard.progress import views as progress
from bgjobs.dashboard.queues import views as queues
from bgjobs.dashboard.said import forget, last_said
from bgjobs.locations import static_folder, templates_folder

PAGES = (overview, jobs, logs, job, edit, processes, queues, health, progress)
SECTIONS = tuple(page.SECTION for page in PAGES if hasattr(page, "SECTION"))


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
    for page in PAGES:
        page.add_to(blueprint)
    return blueprint


def _guard() -> ResponseReturnValue | None:
    """Before everything else: may this request be here, and may it act? A new route is covered by itself."""
    if is_for_everybody():
        return None
    response = check_access()
    if response is None and request.method not in ("GET", "HEAD", "OPTIONS"):
        check_may(action_of_request())
        check_origin_and_token()
    return response


def _finish(response: Response) -> Response:
    keep_token(response)
    forget(response)
    return add_headers(response)


def _names_for_templates() -> dict[str, Any]:
    return {
        "app_name": current_app.name,
        "asset": _address_of_asset,
        "count": count_words,
        "csrf_token": csrf_token,
        "last_said": last_said,
        "here": f".{(request.endpoint or '').rpartition('.')[2]}",
        "may": may,
        "sections": SECTIONS,
    }


def _address_of_asset(name: str) -> str:
    """A static file of ours. Its version is in the address, so that a browser may keep it for ever."""
    return url_for(".static", filename=name, v=assets_version())
