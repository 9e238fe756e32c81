"""The pages on PostgreSQL and MariaDB: each answers, and finds what it finds on SQLite."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from databases import SERVERS, empty
from pages import parsed, shown_jobs, shown_logs
from sites import Site
from sqlalchemy.engine import URL

from bgjobs import pausing

ADDRESSES = [
    "",
    "?range=7d",
    "/logs?q=ini&type=success",
    "/logs?q=%231",
    "/logs?page=2&per_page=10",
    "/jobs",
    "/jobs?state=failed&class=bgjobs.example_job.ExampleJob&method=fail",
    "/jobs?q=ada&queue=mail&from=2020-01-01&sort=oldest",
    "/jobs?state=scheduled",
    "/processes",
    "/queues",
    "/health",
]


@pytest.fixture(params=SERVERS)
def served(
    request: pytest.FixtureRequest, make_site: Callable[..., Site], servers: Callable[[str, str], URL]
) -> Site:
    """A site with jobs in every state, whose tables are on a server."""
    url = servers(request.param, "dashboard").render_as_string(hide_password=False)
    site = make_site(BGJOBS_DATABASE_URI=url, BGJOBS_BACKEND="inline")
    empty(site.state.store.database)
    site.dispatch("run", {"to": "ada"}, queue="mail")
    site.dispatch("fail", {"message": "no such user"}, max_retries=0)
    site.dispatch("run", {"to": "bob"}, delay=3600)
    pausing.pause_queue(site.state.store, "mail", by="ada")
    return site


@pytest.mark.parametrize("address", ADDRESSES)
def test_each_page_answers(served: Site, address: str) -> None:
    assert served.get(f"/dashboard{address}").status_code == 200


def test_lists_show_what_there_is(served: Site) -> None:
    ids = shown_jobs(served.get("/dashboard/jobs").text)
    assert len(ids) == 3
    assert ids == sorted(ids, reverse=True)
    assert shown_jobs(served.get("/dashboard/jobs?q=ada").text) == [ids[2]]
    assert shown_jobs(served.get("/dashboard/jobs?state=failed").text) == [ids[1]]
    logs = shown_logs(served.get("/dashboard/logs?q=NO%20SUCH%20user").text)
    assert len(logs) == 2  # the row that was dispatched, and what it failed by
    for job_id in ids:
        assert f"#{job_id}" in parsed(served.get(f"/dashboard/jobs/{job_id}").text).one("h1").words


def test_a_failed_job_is_retried_and_deleted(served: Site) -> None:
    failed = shown_jobs(served.get("/dashboard/jobs?state=failed").text)[0]
    client = served.client()
    form = parsed(client.get(f"/dashboard/jobs/{failed}").text).all("input", name="csrf_token")[0]
    token = {"csrf_token": form.attributes["value"]}
    assert client.post(f"/dashboard/jobs/{failed}/retry", data=token).status_code == 303
    assert served.row(failed).attempt == 2
    assert client.post(f"/dashboard/jobs/{failed}/delete", data=token).status_code == 303
    assert client.get(f"/dashboard/jobs/{failed}").status_code == 404
