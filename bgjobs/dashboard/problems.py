"""What may go wrong with a request, and the words that the reader gets: no paths, no SQL, no version. What
an administrator needs besides goes to the application's log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import Any

from flask import Blueprint, Response, current_app, make_response, render_template
from werkzeug.exceptions import InternalServerError

from bgjobs.app_state import app_state
from bgjobs.dashboard.htmx import wants_partial
from bgjobs.exceptions import BackendUnavailable, ConfigurationError, InvalidTransition, JobNotFound
from bgjobs.lookups import newest_id_ever
from bgjobs.settings import Settings


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that is not the page that was asked for."""

    status: int
    title: str
    text: str
    remedy: str = ""
    code: str = ""
    way_back: bool = True  # to the logs, for who may see them


class Refused(Exception):
    """The request is answered with a problem instead."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.title)
        self.problem = problem


CLOSED = Problem(
    403,
    "The dashboard is closed",
    "Nobody has been allowed to see it yet. By itself it opens only in debug mode, and only to a browser on the "
    "same computer.",
    "To open it, set BGJOBS_DASHBOARD_ACCESS in the application's configuration to a function that gets the "
    'request and returns "all", "read" or False; or to "open", where something else guards this address.',
    'app.config["BGJOBS_DASHBOARD_ACCESS"] = lambda request: current_user.is_admin',
    way_back=False,
)
NOT_YOU = Problem(
    403,
    "This page is not for you",
    "The application decided that you may not see its background jobs.",
    "If you should, sign in with another account, or ask whoever runs the application "
    "(BGJOBS_DASHBOARD_ACCESS decides).",
    way_back=False,
)
READ_ONLY = Problem(
    403,
    "You may look, but not act",
    "The application lets you see its background jobs, but not change them. Nothing was changed.",
)
NOT_THAT = Problem(
    403,
    "You may not do that",
    "The application lets you do some things with its background jobs, but not this one. Nothing was changed.",
)
FOREIGN = Problem(
    403,
    "That did not come from this dashboard",
    "Nothing was changed. Reload the page and press the button again.",
    "If that does not help, a proxy in between changes the host name: let it pass on the Host header, or set up "
    "werkzeug's ProxyFix.",
)
POST_ONLY = Problem(
    405,
    "There is nothing to see here",
    "This address is what the buttons on the page of a job use. Nothing was changed.",
)
NO_SUCH_ACTION = Problem(
    400,
    "Nothing was asked for",
    "Several jobs at once can be retried, cancelled or deleted. Nothing was changed.",
)
TOO_MANY = Problem(
    400,
    "Those are too many at once",
    "Up to 100 jobs can be selected one by one; for more, filter the list and take all that match. "
    "Nothing was changed.",
)
_NO_DATABASE = Problem(
    503,
    "The database does not answer",
    "The jobs cannot be shown at the moment, and nothing was changed. Try again in a while; "
    "the log of the application says more.",
)
_NOT_SET_UP = Problem(
    503,
    "The background jobs are not set up",
    "Something is missing in the configuration of the application. Its log says what.",
)
_BROKEN = Problem(
    500,
    "Something went wrong here",
    "This page could not be made. The log of the application says why.",
)


def answer(problem: Problem) -> Response:
    """The problem as a page, or as a fragment where a part of a page was asked for."""
    template = "bgjobs/problem/_live.html" if wants_partial() else "bgjobs/problem/page.html"
    return make_response(render_template(template, problem=problem), problem.status)


def answer_errors(blueprint: Blueprint) -> None:
    """Answer whatever goes wrong on the pages of ``blueprint``."""
    blueprint.register_error_handler(Refused, lambda error: answer(error.problem))
    blueprint.register_error_handler(JobNotFound, lambda error: answer(_gone(error.job_id)))
    blueprint.register_error_handler(InvalidTransition, lambda error: answer(_too_late(error)))
    blueprint.register_error_handler(BackendUnavailable, lambda error: _logged(error, _NO_DATABASE))
    blueprint.register_error_handler(ConfigurationError, lambda error: _logged(error, _NOT_SET_UP))
    # Flask comes here with whatever nobody foresaw, after it told the log and the host's error reporting.
    blueprint.register_error_handler(InternalServerError, lambda error: answer(_BROKEN))


def _gone(job_id: Any) -> Problem:
    if not isinstance(job_id, int):
        return Problem(404, "There is no such job", "A job has a number, and this is none.")
    state = app_state()
    with state.store.database.reading() as connection:
        was_there = 0 < job_id <= newest_id_ever(connection)
    if not was_there:
        return Problem(404, f"There is no job #{job_id}", "As far as the database knows, there never was one.")
    return Problem(404, f"Job #{job_id} was removed", f"Somebody deleted it{_or_it_was_old(state.settings)}.")


def _or_it_was_old(settings: Settings) -> str:
    """Why else a job is not there any more, as far as the settings tell."""
    days = [item for item in (settings.retention_completed, settings.retention_failed) if item is not None]
    words = " or ".join(f"{item:g}" for item in sorted(set(days)))
    return f", or it had ended more than {words} days ago" if days else ""


def _too_late(error: InvalidTransition) -> Problem:
    text = f"Job #{error.job_id} is {error.status}, so it cannot be {error.action}. Nothing was changed."
    if error.ended_at is not None:
        ended = f"{error.ended_at.astimezone(UTC):%H:%M:%S} UTC"
        text = f"Job #{error.job_id} already finished at {ended}; nothing was {error.action}."
    return Problem(409, "It was too late for that", text)


def _logged(error: Exception, problem: Problem) -> Response:
    current_app.logger.warning("The dashboard could not answer: %s", error)
    return answer(problem)
