"""What was done, said once on the page that comes next: a word and numbers in a cookie that lives for one page.

Nothing of the words is in the cookie, so whoever sets it can make the page say no more than this.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from flask import Response, g, make_response, redirect, request, url_for

from bgjobs.dashboard.htmx import wants_partial

COOKIE = "bgjobs_said"
_LIVES_FOR = 20  # seconds
_WORDS: dict[str, Callable[[int], str]] = {
    "retry": lambda number: f"Job #{number} will run again.",
    "delete": lambda number: f"Job #{number} was deleted, with its logs and its output.",
    "edit": lambda number: f"Dispatched as job #{number}, a retry with other parameters.",
}
_is_said = re.compile(r"([a-z]{1,10})-([1-9][0-9]{0,17})", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Said:
    """What was done with a job."""

    action: str
    job_id: int

    @property
    def words(self) -> str:
        return _WORDS[self.action](self.job_id)

    @property
    def can_be_undone(self) -> bool:
        return self.action == "retry"


def about(action: str, job_id: int) -> Said | None:
    """What to say of an action; None where the page itself shows what it did."""
    return Said(action, job_id) if action in _WORDS else None


def _say_on_next_page(response: Response, said: Said | None) -> None:
    if said is not None:
        response.set_cookie(
            COOKIE,
            f"{said.action}-{said.job_id}",
            max_age=_LIVES_FOR,
            path=url_for(".overview"),
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )


def go_to(address: str, said: Said | None) -> Response:
    """The answer to a form that leads to another page, on which ``said`` stands."""
    response = (
        Response(headers={"HX-Redirect": address}) if wants_partial() else make_response(redirect(address, 303))
    )
    _say_on_next_page(response, said)
    return response


def last_said() -> Said | None:
    """What the page before wanted to be said. From then on it is said."""
    found = _is_said(request.cookies.get(COOKIE, ""))
    if found is None or found[1] not in _WORDS:
        return None
    g.bgjobs_said = True
    return Said(found[1], int(found[2]))


def forget(response: Response) -> None:
    """Have the browser forget what was said."""
    if "bgjobs_said" in g:
        response.delete_cookie(COOKIE, path=url_for(".overview"), httponly=True, samesite="Strict")
