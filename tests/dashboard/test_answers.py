"""Pages and partials, their headers, and what is answered when something goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import StrictUndefined
from pages import parsed, shown_logs
from sites import PARTIAL, Site

from bgjobs.dashboard import glance

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/", "/dashboard?q=job", "/dashboard/jobs/1"])
@pytest.mark.parametrize(
    ("headers", "partial"),
    [
        ({}, False),
        ({"HX-Request": "true"}, True),
        (PARTIAL, True),
        ({**PARTIAL, "HX-History-Restore-Request": "true"}, False),
        ({**PARTIAL, "HX-Boosted": "true"}, False),
        ({"HX-Request": "true", "HX-Request-Type": "full"}, False),
        ({"HX-History-Restore-Request": "true", "HX-Request-Type": "full"}, False),
    ],
)
def test_page_or_partial(site: Site, path: str, headers: dict[str, str], partial: bool) -> None:  # 12
    site.dispatch()
    response = site.get(path, headers=headers)
    assert response.status_code == 200
    assert ("<html" in response.text) is not partial
    assert ("<main" in response.text) is not partial
    assert "HX-PTag" in response.headers
    assert response.vary.to_header() == "HX-Request, HX-Request-Type, HX-History-Restore-Request"
    assert response.headers["Cache-Control"] == ("no-store" if partial else "private, no-cache")


def test_the_partial_is_the_live_part_of_the_page(site: Site) -> None:
    site.dispatch()
    page, partial = site.get("/dashboard").text, site.get("/dashboard", headers=PARTIAL).text
    assert shown_logs(page) == shown_logs(partial) != []
    assert parsed(page).one("div", id="live").words == parsed(partial).words


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard?q=job", "/dashboard?type=info", "/dashboard/jobs/1"])
def test_what_is_shown_already_is_not_sent_again(site: Site, path: str) -> None:
    job_id, client = site.dispatch(), site.client()
    client.get(f"/dashboard/jobs/{job_id}")  # the cookie
    tag = client.get(path, headers=PARTIAL).headers["HX-PTag"]
    again = client.get(path, headers={**PARTIAL, "HX-PTag": tag})
    assert (again.status_code, again.data, again.headers["HX-PTag"]) == (304, b"", tag)
    assert client.get(path, headers={"HX-PTag": tag}).status_code == 200  # a page is always whole
    site.add_logs(job_id, ["news"])
    assert client.get(path, headers={**PARTIAL, "HX-PTag": tag}).status_code == 200


def test_a_tag_is_of_one_view(site: Site) -> None:
    site.dispatch()
    paths = [
        "/dashboard",
        "/dashboard?q=job",
        "/dashboard?type=success",
        "/dashboard?per_page=25",
        "/dashboard?before=3",
    ]
    assert len({site.get(path, headers=PARTIAL).headers["HX-PTag"] for path in paths}) == len(paths)


@pytest.mark.parametrize(
    ("shown", "asked", "header", "value"),
    [
        ("", "q=job", "HX-Replace-Url", "/dashboard?q=job"),
        ("q=jo", "q=job&type=&per_page=10", "HX-Replace-Url", "/dashboard?q=job"),
        ("q=job", "q=", "HX-Replace-Url", "/dashboard"),
        ("q=job", "q=job&type=info", "HX-Push-Url", "/dashboard?q=job&type=info"),
        ("", "per_page=25", "HX-Push-Url", "/dashboard?per_page=25"),
        ("", "before=3", "HX-Push-Url", "/dashboard?before=3"),
        ("before=3", "", "HX-Push-Url", "/dashboard"),
        ("q=job", "q=job", None, None),
        ("", "", None, None),
        ("", "top=3", None, None),
    ],
)
def test_the_address_bar_follows(
    site: Site, shown: str, asked: str, header: str | None, value: str | None
) -> None:
    site.dispatch()
    headers = {**PARTIAL, "HX-Current-URL": f"http://localhost/dashboard?{shown}"}
    response = site.get(f"/dashboard?{asked}", headers=headers)
    found = {
        name: response.headers[name] for name in ("HX-Replace-Url", "HX-Push-Url") if name in response.headers
    }
    assert found == ({} if header is None else {header: value})


def test_headers_of_every_answer(site: Site) -> None:  # 13
    job_id, client = site.dispatch(), site.client()
    answers = [
        client.get("/dashboard"),
        client.get("/dashboard", headers=PARTIAL),
        client.get(f"/dashboard/jobs/{job_id}"),
        client.get(f"/dashboard/jobs/{job_id}/attempts/1/output"),
        client.get("/dashboard/jobs/999"),
        client.get("/dashboard/jobs/999", headers=PARTIAL),
        client.get(f"/dashboard/jobs/{job_id}/retry"),
        client.post(f"/dashboard/jobs/{job_id}/retry"),
        client.options("/dashboard"),
        client.head("/dashboard"),
        client.get("/dashboard/static/bgjobs.js", buffered=True),
        client.get("/dashboard/static/nothing.js"),
    ]
    token = parsed(answers[2].text).one("main").one("input").attributes["value"]
    answers.append(client.post(f"/dashboard/jobs/{job_id}/cancel", data={"csrf_token": token}))
    tag = {**PARTIAL, "HX-PTag": client.get("/dashboard", headers=PARTIAL).headers["HX-PTag"]}
    answers.append(client.get("/dashboard", headers=tag))
    assert {answer.status_code for answer in answers} == {200, 303, 304, 403, 404, 405}
    for answer in answers:
        assert answer.headers["Content-Security-Policy"] == CSP
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "Cache-Control" in answer.headers


def test_a_static_file_with_its_version_is_kept(site: Site) -> None:
    page = parsed(site.get("/dashboard").text)
    for script in page.all("script"):
        response = site.get(script.attributes["src"] or "")
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert site.get("/dashboard/static/bgjobs.js").headers["Cache-Control"] == "no-cache"


def test_nothing_in_a_page_needs_a_weaker_policy(site: Site) -> None:  # 13
    """No inline script or style, no handler attribute, nothing that htmx would have to evaluate."""
    job_id = site.dispatch()
    for path in ("/dashboard", f"/dashboard/jobs/{job_id}", "/dashboard/jobs/999"):
        for element in everything(site.get(path).text):
            assert element.tag != "style"
            assert element.tag != "script" or (element.attributes["src"] and not element.text.strip())
            for name, value in element.attributes.items():
                assert name != "style"
                assert not name.startswith(("on", "hx-on"))
                assert not (value or "").lower().startswith(("js:", "javascript:"))


def everything(html: str) -> list:
    def below(element) -> list:
        inner = [child for child in element.children if not isinstance(child, str)]
        return [item for child in inner for item in (child, *below(child))]

    return below(parsed(html))


def test_fits_below_a_prefix(make_site: Callable[..., Site]) -> None:
    """Two applications in one process, each below a prefix of its own, one at another address."""
    here, there = make_site(), make_site(BGJOBS_DASHBOARD_URL="/admin/jobs")
    for site, url in ((here, "/here/dashboard"), (there, "/there/admin/jobs")):
        site.dispatch()
        base = f"http://localhost{url[: url.index('/', 1)]}"
        page = site.get(url.removeprefix(url[: url.index("/", 1)]), base_url=base).text
        links = [element.attributes for element in everything(page)]
        addresses = [it[name] for it in links for name in ("href", "src", "action", "hx-get") if it.get(name)]
        assert len(addresses) > 10
        assert all((address or "").startswith((url, "#main")) for address in addresses)


def test_fits_a_strict_template_environment(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.app.jinja_env.undefined = StrictUndefined
    site.app.jinja_env.bytecode_cache = None  # what is compiled there was compiled otherwise
    site.app.jinja_env.trim_blocks = site.app.jinja_env.lstrip_blocks = True
    job_id = site.dispatch()
    site.change(job_id, status="failed")
    site.add_attempt(job_id, traceback="at")
    for path in ("/dashboard", "/dashboard?q=zebra", f"/dashboard/jobs/{job_id}"):
        assert site.get(path).status_code == 200
    assert site.get("/dashboard/jobs/999").status_code == 404


def test_leaves_the_templates_and_the_htmx_of_the_host_alone(site: Site) -> None:
    assert not hasattr(site.app, "htmx")
    assert set(site.app.template_context_processors) == {None, "bgjobs"}
    assert len(site.app.template_context_processors[None]) == 1  # Flask's own


# -- when something goes wrong -----------------------------------------------------------------------


@pytest.mark.parametrize("job_id", ["999", "abc", "-1", "1%00", "0", "1e3", "9" * 5000, "٣", "%F0%9F%92%A5"])
@pytest.mark.parametrize("kind", [{}, PARTIAL], ids=["page", "partial"])
def test_a_job_that_is_not_there(site: Site, job_id: str, kind: dict[str, str]) -> None:
    site.dispatch()
    for path in (f"/dashboard/jobs/{job_id}", f"/dashboard/jobs/{job_id}/attempts/1/output"):
        response = site.get(path, headers=kind)
        assert response.status_code == 404
        assert "no such job" in response.text or "There is no job #999" in response.text


def act(site: Site, job_id: int, action: str, **headers: str) -> object:
    other = site.dispatch()
    client = site.client()
    token = parsed(client.get(f"/dashboard/jobs/{other}").text).one("main").one("input").attributes["value"]
    return client.post(f"/dashboard/jobs/{job_id}/{action}", data={"csrf_token": token}, headers=headers)


@pytest.mark.parametrize("kind", [{}, PARTIAL], ids=["page", "partial"])
@pytest.mark.parametrize(
    ("status", "action", "words"),
    [
        ("completed", "cancel", "is completed, so it cannot be cancelled. Nothing was changed."),
        ("failed", "cancel", "is failed, so it cannot be cancelled"),
        ("completed", "retry", "is completed, so it cannot be retried"),
        ("pending", "retry", "is pending, so it cannot be retried"),
        ("running", "retry", "is running, so it cannot be retried"),
    ],
)
def test_too_late(site: Site, status: str, action: str, words: str, kind: dict[str, str]) -> None:  # 15
    job_id = site.dispatch()
    site.change(job_id, status=status)
    response = act(site, job_id, action, **kind)
    assert response.status_code == 409
    assert words in parsed(response.text).words
    assert site.row(job_id).status == status
    assert len(site.messages(job_id)) == 3


@pytest.mark.parametrize("action", ["retry", "cancel"])
@pytest.mark.parametrize("job_id", ["999", "abc", "9" * 30])
def test_acting_on_a_job_that_is_not_there(site: Site, action: str, job_id: str) -> None:
    assert act(site, job_id, action).status_code == 404


PATHS = ["/dashboard", "/dashboard/jobs/1", "/dashboard/jobs/1/attempts/1/output"]
NEVER_SHOWN = ("Traceback", "sqlite", "SELECT", "/tmp", ".py", "app.db", "OperationalError", "unlucky")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", [{}, PARTIAL], ids=["page", "partial"])
def test_a_database_that_does_not_answer(make_site: Callable[..., Site], path: str, kind: dict[str, str]) -> None:
    site = make_site()
    Path(site.app.instance_path, "app.db").write_bytes(b"this is no database" * 1000)
    response = site.get(path, headers=kind)
    assert response.status_code == 503
    assert "The database does not answer" in response.text
    assert not [word for word in NEVER_SHOWN if word in response.text.replace("bgjobs.js", "")]


def test_a_setting_that_is_missing(make_site: Callable[..., Site]) -> None:
    site = make_site(BGJOBS_DATABASE_URI="sqlite://")
    response = site.get("/dashboard")
    assert response.status_code == 503
    assert "are not set up" in response.text
    assert "sqlite" not in response.text


@pytest.mark.parametrize("kind", [{}, PARTIAL], ids=["page", "partial"])
def test_a_fault_of_ours_tells_nothing(site: Site, monkeypatch: pytest.MonkeyPatch, kind: dict[str, str]) -> None:
    site.dispatch()

    def unlucky(*args: object) -> None:
        raise RuntimeError("unlucky in /tmp/secret.py: SELECT 1")

    monkeypatch.setattr(glance, "pulse", unlucky)
    for path in PATHS[:2]:
        response = site.get(path, headers=kind)
        assert response.status_code == 500
        assert "Something went wrong here" in response.text
        assert response.headers["Content-Security-Policy"] == CSP
        assert not [word for word in NEVER_SHOWN if word in response.text]
