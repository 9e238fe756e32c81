"""Pressing a button as a browser does that knows no JavaScript, and as htmx does."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from pages import Element, parsed
from sites import PARTIAL, Site
from werkzeug.test import TestResponse

OURS = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
HTMX = {**OURS, **PARTIAL}


def token_for(client: FlaskClient, site: Site) -> str:
    """The token of this browser."""
    cookie = client.get_cookie("bgjobs_csrf", path="/dashboard")
    if cookie is not None:
        return str(cookie.value)
    other = site.dispatch()
    form = parsed(client.get(f"/dashboard/jobs/{other}").text).one("main").all("form")[0]
    return str(form.one("input", name="csrf_token").attributes["value"])


def post(client: FlaskClient, site: Site, path: str, *, token: str | None = None, **options: Any) -> TestResponse:
    data = {"csrf_token": token or token_for(client, site), **options.pop("data", {})}
    return client.post(f"/dashboard/jobs/{path}", data=data, headers=options.pop("headers", OURS), **options)


def main_of(client: FlaskClient, path: str) -> Element:
    return parsed(client.get(f"/dashboard/{path}").text).one("main")


def buttons(page: Element) -> list[str]:
    """What can be pressed or followed in the head of the page of a job, in this order."""
    return [item.words for item in page.all("button") + page.all("a", class_="button")]
