"""Who may see the dashboard and who may act: closed unless somebody opened it, on every route there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import g, redirect
from pages import parsed
from sites import PARTIAL, Site
from werkzeug.exceptions import Unauthorized
from werkzeug.middleware.proxy_fix import ProxyFix

from bgjobs.dashboard.access import from_this_computer

HERE = {"REMOTE_ADDR": "127.0.0.1"}
ELSEWHERE = {"REMOTE_ADDR": "203.0.113.7"}


def every_request(site: Site, job_id: int) -> Iterator[tuple[str, str]]:
    """Method and path of every route of the dashboard, a new one included, but for the static files."""
    values = {"job_id": job_id, "number": 1, "step": "pause", "token": "x"}
    with site.app.test_request_context():
        adapter = site.app.url_map.bind("localhost")
        for rule in site.app.url_map.iter_rules():
            if rule.endpoint.startswith("bgjobs.") and rule.endpoint != "bgjobs.static":
                known = {**values, "action": "edit" if rule.endpoint == "bgjobs.edited" else "cancel"}
                asked = rule.arguments - set(rule.defaults or {})
                path = adapter.build(rule.endpoint, {name: known[name] for name in asked})
                for method in sorted(rule.methods or ()):
                    yield method, path
                    yield method, f"{path}/"


@pytest.mark.parametrize(
    ("debug", "environ", "headers"),
    [
        (False, HERE, {}),
        (False, HERE, {"X-Forwarded-For": "127.0.0.1"}),
        (True, ELSEWHERE, {}),
        (True, ELSEWHERE, {"X-Forwarded-For": "127.0.0.1", "Host": "localhost"}),
        (True, HERE, {"X-Forwarded-For": "203.0.113.7"}),
        (True, HERE, {"Forwarded": "for=203.0.113.7"}),
        (True, HERE, {"X-Real-IP": "203.0.113.7"}),
        (True, HERE, {"Via": "1.1 proxy"}),
        (True, HERE, {"Host": "rebound.example"}),
        (True, HERE, {"Host": "localhost.example"}),
        (True, {"REMOTE_ADDR": ""}, {}),
    ],
)
def test_closed_on_every_route(
    make_site: Callable[..., Site], debug: bool, environ: dict[str, str], headers: dict[str, str]
) -> None:
    site = make_site(BGJOBS_DASHBOARD_ACCESS=None)
    site.app.debug = debug
    job_id = site.dispatch(parameters={"canary": "hidden-canary"})
    client = site.client()
    requests = list(every_request(site, job_id))
    assert len(requests) > 20
    for method, path in requests:
        for kind in ({}, PARTIAL):
            response = client.open(path, method=method, headers={**headers, **kind}, environ_base=environ)
            assert response.status_code in (403, 404), (method, path)
            assert "hidden-canary" not in response.text
            assert "ExampleJob" not in response.text
    assert site.row(job_id).status == "pending"


def test_the_closed_page_says_what_to_set(make_site: Callable[..., Site]) -> None:
    response = make_site(BGJOBS_DASHBOARD_ACCESS=None).get("/dashboard")
    assert response.status_code == 403
    assert "BGJOBS_DASHBOARD_ACCESS" in parsed(response.text).one("main").words


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000", "[::1]", "LOCALHOST"]
)
@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_open_in_debug_mode_on_this_computer(make_site: Callable[..., Site], host: str, address: str) -> None:
    site = make_site(BGJOBS_DASHBOARD_ACCESS=None)
    site.app.debug = True
    response = site.get("/dashboard", headers={"Host": host}, environ_base={"REMOTE_ADDR": address})
    assert response.status_code == 200


def test_behind_proxy_fix_the_socket_counts(make_site: Callable[..., Site]) -> None:
    site = make_site(BGJOBS_DASHBOARD_ACCESS=from_this_computer)
    site.app.wsgi_app = ProxyFix(site.app.wsgi_app, x_for=1, x_host=1)  # type: ignore[method-assign]
    forged = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost"}
    assert site.get("/dashboard", headers=forged, environ_base=ELSEWHERE).status_code == 403
    assert site.get("/dashboard", environ_base=ELSEWHERE).status_code == 403
    assert site.get("/dashboard", environ_base=HERE).status_code == 200


@pytest.mark.parametrize(
    ("answer", "sees", "acts"),
    [
        ("all", True, True),
        (True, True, True),
        (object(), True, True),
        ("read", True, False),
        (False, False, False),
        (None, False, False),
        ("", False, False),
        ("no", False, False),
        (0, False, False),
    ],
)
def test_the_function_of_the_application_decides(
    make_site: Callable[..., Site], answer: Any, sees: bool, acts: bool
) -> None:
    asked: list[str] = []

    def access(request: Any) -> Any:
        asked.append(request.path)
        return answer

    site = make_site(BGJOBS_DASHBOARD_ACCESS=access)
    job_id = site.dispatch()
    client = site.client()
    page = client.get(f"/dashboard/jobs/{job_id}")
    assert page.status_code == (200 if sees else 403)
    forms = parsed(page.text).one("main").all("form")
    assert bool(forms) == acts
    token = forms[0].one("input").attributes["value"] if acts else "x" * 43
    done = client.post(f"/dashboard/jobs/{job_id}/cancel", data={"csrf_token": token})
    assert done.status_code == (303 if acts else 403)
    assert site.row(job_id).status == ("cancelled" if acts else "pending")
    assert asked == [f"/dashboard/jobs/{job_id}", f"/dashboard/jobs/{job_id}/cancel"]


def test_an_answer_of_the_application_is_given_as_it_is(make_site: Callable[..., Site]) -> None:
    response = make_site(BGJOBS_DASHBOARD_ACCESS=lambda request: redirect("/login")).get("/dashboard")
    assert (response.status_code, response.location) == (302, "/login")


def test_the_application_may_abort(make_site: Callable[..., Site]) -> None:
    def access(request: Any) -> Any:
        raise Unauthorized

    assert make_site(BGJOBS_DASHBOARD_ACCESS=access).get("/dashboard").status_code == 401


def test_static_files_are_for_everybody(make_site: Callable[..., Site]) -> None:
    site = make_site(BGJOBS_DASHBOARD_ACCESS=None)
    for name in ("bgjobs.css", "bgjobs.js", "theme.js", "icon.svg", "htmx-4.0.1.min.js", "hx-ptag-4.0.1.min.js"):
        assert site.get(f"/dashboard/static/{name}").status_code == 200
    for name in ("../bgjobs.css", "..%2f..%2fpyproject.toml", "nothing.js"):
        assert site.get(f"/dashboard/static/{name}").status_code == 404


def test_who_acted_is_in_the_story_of_the_job(make_site: Callable[..., Site]) -> None:
    def access(request: Any) -> str:
        g.bgjobs_user = "ada\nlovelace"
        return "all"

    site = make_site(BGJOBS_DASHBOARD_ACCESS=access)
    job_id = site.dispatch()
    client = site.client()
    token = parsed(client.get(f"/dashboard/jobs/{job_id}").text).one("main").one("input").attributes["value"]
    client.post(f"/dashboard/jobs/{job_id}/cancel", data={"csrf_token": token})
    assert site.messages(job_id)[-2:] == [
        ("info", "Background job cancelled"),
        ("info", "Cancelled on the dashboard by ada\\x0alovelace"),
    ]
