"""A request to act that does not come from a page of ours changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, abort, request
from flask.testing import FlaskClient
from pages import parsed
from sites import PARTIAL, Site

OURS = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


def token_of(client: FlaskClient, job_id: int) -> str:
    return str(parsed(client.get(f"/dashboard/jobs/{job_id}").text).one("main").one("input").attributes["value"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        OURS,
        {"Origin": "http://localhost"},
        {"Origin": "https://localhost"},
        {"Origin": "http://localhost:80"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
def test_our_own_form_is_heard(site: Site, headers: dict[str, str]) -> None:
    job_id, client = site.dispatch(), site.client()
    token = token_of(client, job_id)
    response = client.post(f"/dashboard/jobs/{job_id}/cancel", data={"csrf_token": token}, headers=headers)
    assert (response.status_code, response.location) == (303, f"/dashboard/jobs/{job_id}")
    assert site.row(job_id).status == "cancelled"


def test_a_header_carries_the_token_as_well(site: Site) -> None:
    job_id, client = site.dispatch(), site.client()
    headers = {"X-CSRFToken": token_of(client, job_id), **PARTIAL}
    assert client.post(f"/dashboard/jobs/{job_id}/cancel", headers=headers).status_code == 200


@pytest.mark.parametrize("kind", [{}, PARTIAL], ids=["form", "htmx"])
@pytest.mark.parametrize("action", ["retry", "cancel"])
@pytest.mark.parametrize(
    ("headers", "token"),
    [
        (OURS, None),
        (OURS, ""),
        (OURS, "A" * 43),
        (OURS, "é"),
        ({"Sec-Fetch-Site": "cross-site"}, "right"),
        ({"Sec-Fetch-Site": "same-site"}, "right"),
        ({"Sec-Fetch-Site": "none"}, "right"),
        ({"Origin": "https://evil.example"}, "right"),
        ({"Origin": "http://localhost.evil.example"}, "right"),
        ({"Origin": "http://localhost:8080"}, "right"),
        ({"Origin": "null"}, "right"),
        ({"Origin": "http://localhost@evil.example"}, "right"),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, "right"),
    ],
)
def test_anything_else_is_refused(
    site: Site, headers: dict[str, str], token: str | None, action: str, kind: dict[str, str]
) -> None:  # 14
    job_id, client = site.dispatch(), site.client()
    right = token_of(client, job_id)
    data = {} if token is None else {"csrf_token": right if token == "right" else token}
    response = client.post(f"/dashboard/jobs/{job_id}/{action}", data=data, headers={**headers, **kind})
    assert response.status_code == 403
    assert "Nothing was changed" in response.text
    assert site.row(job_id).status == "pending"
    assert len(site.messages(job_id)) == 3


def test_without_the_cookie_no_token_fits(site: Site) -> None:  # 14
    job_id = site.dispatch()
    token = token_of(site.client(), job_id)
    assert site.client().post(f"/dashboard/jobs/{job_id}/cancel", data={"csrf_token": token}).status_code == 403


def test_a_json_text_is_no_form(site: Site) -> None:
    job_id, client = site.dispatch(), site.client()
    body = f'{{"csrf_token":"{token_of(client, job_id)}"}}'
    response = client.post(f"/dashboard/jobs/{job_id}/cancel", data=body, content_type="text/plain")
    assert response.status_code == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("action", ["retry", "cancel"])
def test_looking_at_an_action_does_nothing(site: Site, method: str, action: str) -> None:  # 14
    job_id = site.dispatch()
    response = site.client().open(f"/dashboard/jobs/{job_id}/{action}", method=method)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert site.row(job_id).status == "pending"


def test_the_cookie_is_for_the_dashboard_alone(site: Site) -> None:
    job_id = site.dispatch()
    cookie = site.get(f"/dashboard/jobs/{job_id}").headers["Set-Cookie"]
    name, *attributes = cookie.split("; ")
    assert name.startswith("bgjobs_csrf=")
    assert set(attributes) == {"HttpOnly", "Path=/dashboard", "SameSite=Strict"}
    cookie = site.get(f"/dashboard/jobs/{job_id}", base_url="https://localhost").headers["Set-Cookie"]
    assert "Secure" in cookie.split("; ")
    below = site.get(f"/dashboard/jobs/{job_id}", base_url="http://localhost/app").headers["Set-Cookie"]
    assert "Path=/app/dashboard" in below.split("; ")


def test_the_token_stays_the_same_in_one_browser(site: Site) -> None:
    job_id, client = site.dispatch(), site.client()
    assert token_of(client, job_id) == token_of(client, job_id)
    assert token_of(client, job_id) != token_of(site.client(), job_id)


class HostsProtection:
    """What Flask-WTF's CSRFProtect does, as far as we meet it."""

    def __init__(self, app: Any) -> None:
        self._app, self._exempt_blueprints = app, set()
        app.extensions["csrf"] = self
        app.before_request(self.protect)

    def exempt(self, view: Any) -> Any:
        assert isinstance(view, Blueprint)
        self._exempt_blueprints.add(view.name)
        return view

    def protect(self) -> None:
        if request.method == "POST" and request.blueprint not in self._exempt_blueprints:
            abort(400)


def test_gets_on_with_the_protection_of_the_host(make_site: Callable[..., Site]) -> None:
    site = make_site()
    HostsProtection(site.app)
    site.app.add_url_rule("/own", view_func=lambda: "ok", methods=["POST"])
    job_id, client = site.dispatch(), site.client()
    token = token_of(client, job_id)
    assert client.post(f"/dashboard/jobs/{job_id}/cancel", data={"csrf_token": token}).status_code == 303
    assert client.post(f"/dashboard/jobs/{job_id}/cancel").status_code == 403  # ours still counts
    assert client.post("/own").status_code == 400  # and theirs
