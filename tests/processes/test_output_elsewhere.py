"""What jobs print on one host, read on another: by an application with a state folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from databases import SERVERS, empty
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from real_site import MakeSite, RealSite
from sqlalchemy.engine import URL

from bgjobs import BackgroundJobs
from bgjobs.app_state import app_state


@pytest.fixture(params=SERVERS)
def served(
    request: pytest.FixtureRequest, make_warm_site: MakeSite, servers: Callable[[str, str], URL]
) -> RealSite:
    """A site whose jobs are on a server."""
    url = servers(request.param, "elsewhere").render_as_string(hide_password=False)
    site = make_warm_site(database_uri=url)
    empty(site.state.store.database)
    return site


@pytest.fixture
def client(served: RealSite, tmp_path: Path) -> Iterator[FlaskClient]:
    """Of a dashboard on another host: the database is all that it shares."""
    app = Flask("elsewhere", instance_path=str(tmp_path))
    app.config.update(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'own.db'}",
        BGJOBS_DATABASE_URI=served.state.database_url.render_as_string(hide_password=False),
        BGJOBS_AUTOSTART=False,
        BGJOBS_DASHBOARD_ACCESS="open",
    )
    BackgroundJobs(app, SQLAlchemy(app))
    yield app.test_client()
    app_state(app).store.database.dispose()


def test_the_page_shows_it_while_it_grows_and_says_where_it_ran(served: RealSite, client: FlaskClient) -> None:
    job = served.dispatch("Plain.speak", {"gates": ["go on", "end"]})
    address = f"/dashboard/jobs/{job}/attempts/1/output"
    served.until(lambda: client.get(f"{address}?offset=0").text == "waiting for go on ☕ \\x00\\xff\n")
    page = client.get(f"/dashboard/jobs/{job}").text
    assert "waiting for go on ☕" in page
    assert f"on {served.attempts(job.id)[0].host} · pid" in page
    served.open_gate("go on")
    first = client.get(f"{address}?offset=0")
    place = first.headers["Output-Places"].split("-")[1]
    more = served.until(lambda: client.get(f"{address}?offset={place}&seen={place}").text)
    assert more == "waiting for end ☕ \\x00\\xff\n"
    served.open_gate("end")
    served.wait(job)
    whole = client.get(address).text
    assert whole.splitlines() == [
        "waiting for go on ☕ \\x00\\xff",
        "waiting for end ☕ \\x00\\xff",
        "all of it is here when the job has ended",
    ]


def test_it_outlives_its_supervisor_and_a_job_that_is_killed(served: RealSite, client: FlaskClient) -> None:
    job = served.dispatch("Plain.speak", {"gates": ["one", "two"]}, max_retries=0)
    address = f"/dashboard/jobs/{job}/attempts/1/output"
    served.until(lambda: "one" in client.get(address).text)
    first = served.until_supervised().pid
    served.kill(first)
    served.until_supervised(but_not=first)
    served.open_gate("one")
    served.until(lambda: "two" in client.get(address).text)
    served.kill(served.row(job.id).pid)
    assert served.wait(job)[0].status == "failed"
    assert client.get(address).text.count("waiting") == 2


def test_a_hundred_megabytes_leave_their_end(served: RealSite, client: FlaskClient) -> None:
    job = served.dispatch("Plain.print_much", {"megabytes": 100})
    assert served.wait(job)[0].status == "completed"
    text = client.get(f"/dashboard/jobs/{job}/attempts/1/output").text
    assert text.startswith("[older output was left out]\n")
    assert text.endswith("x\nthe last line\n")
    assert len(text) < 300_000
