"""What the pages say of whoever runs the jobs, and when they wake it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from pages import parsed
from sites import PARTIAL, Site

from bgjobs.dashboard.notices import Alarm
from bgjobs.exceptions import BackendUnavailable
from bgjobs.processes.identity import own_identity
from bgjobs.supervisor.status import SupervisorStatus


def notices(site: Site, path: str = "/dashboard") -> list[tuple[str, str]]:
    boxes = parsed(site.get(path).text).one("main").all("div", class_="notice")
    return [((box.attributes["class"] or "").split()[1], box.words) for box in boxes]


def health_line(site: Site) -> str:
    return parsed(site.get("/dashboard").text).one("p", class_="health").words


def supervise(site: Site, **values: object) -> None:
    """Let this very process pass for the supervisor."""
    own = own_identity()
    SupervisorStatus(
        host=own.host,
        boot_id=own.boot_id,
        pid_namespace=own.pid_namespace,
        pid=own.pid,
        process_started=own.started,
        started_at="",
        database="",
        backend="local",
        processes=4,
        start_method="fork",
        **values,  # type: ignore[arg-type]
    ).write(site.state.folder)


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often the local backend was asked to wake a supervisor."""
    heard: list[str] = []
    monkeypatch.setattr("bgjobs.backends.local.LocalBackend.wake", lambda self: heard.append("ring"))
    monkeypatch.setattr("bgjobs.dashboard.glance._alarm", Alarm())
    return heard


def test_nobody_is_needed_where_nothing_waits(site: Site) -> None:
    assert notices(site) == []
    assert health_line(site) == "No supervisor 0 running 0 pending"


def test_pending_jobs_without_a_supervisor(site: Site) -> None:
    job_id = site.dispatch()
    ((level, text),) = notices(site)
    assert level == "notice-warning"
    assert text.startswith("No supervisor is running")
    assert "flask bgjobs supervise" in text
    # The page of the job says so itself, in what the job waits for, and once is enough.
    assert notices(site, f"/dashboard/jobs/{job_id}") == []
    page = parsed(site.get(f"/dashboard/jobs/{job_id}").text)
    assert page.one("p", id="why").words.startswith("No supervisor is running")


def test_a_supervisor_that_lives(site: Site) -> None:
    site.dispatch()
    supervise(site)
    assert notices(site) == []
    assert health_line(site) == "Supervisor running 0 running 1 pending"


def test_a_supervisor_with_troubles(site: Site) -> None:
    supervise(
        site, warning="It is <slow>", app_error="Traceback\n  postgresql://u:pw@h/\nImportError: no \x1b such"
    )
    (error, words), (warning, text) = notices(site)
    assert (error, warning, text) == ("notice-error", "notice-warning", "It is <slow>")
    assert "ImportError: no \\x1b such" in words
    assert "u:pw" not in words


def test_an_inline_backend_needs_no_supervisor(make_site: Callable[..., Site]) -> None:
    site = make_site(BGJOBS_BACKEND="inline")
    site.dispatch()
    assert notices(site) == []


def test_a_look_wakes_a_supervisor_where_there_is_work(make_site: Callable[..., Site], rings: list[str]) -> None:
    site = make_site(BGJOBS_AUTOSTART=True)
    site.get("/dashboard")
    assert rings == []
    site.dispatch()
    rings.clear()
    for _ in range(3):
        site.get("/dashboard", headers=PARTIAL)
    assert rings == ["ring"]  # not at each look of each reader
    assert notices(site) == []  # one is just coming up
    site.change(1, scheduled_at=datetime.now(UTC) - timedelta(minutes=1))
    assert "One is being started" in notices(site)[0][1]


def test_no_look_wakes_a_supervisor_that_is_not_to_start_by_itself(site: Site, rings: list[str]) -> None:
    site.dispatch()
    rings.clear()
    site.get("/dashboard")
    assert rings == []


@pytest.mark.parametrize("error", [OSError("no more processes"), BackendUnavailable("no"), FileNotFoundError()])
def test_a_supervisor_that_cannot_be_woken_does_not_break_a_page(
    make_site: Callable[..., Site], rings: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(self: object) -> None:
        raise error

    site = make_site(BGJOBS_AUTOSTART=True)
    site.dispatch()
    monkeypatch.setattr("bgjobs.backends.local.LocalBackend.wake", fail)
    assert site.get("/dashboard").status_code == 200
    client = site.client()
    token = parsed(client.get("/dashboard/jobs/1").text).one("main").one("input").attributes["value"]
    assert client.post("/dashboard/jobs/1/cancel", data={"csrf_token": token}).status_code == 303
    assert site.row(1).status == "cancelled"
