"""What is shown of other hosts: their supervisors by their leases, and the jobs that run there."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from pages import parsed
from sites import Site
from sqlalchemy import update

from bgjobs import leases
from bgjobs.processes.identity import ProcessIdentity, own_identity
from bgjobs.supervisor.doctor import examine
from bgjobs.supervisor.elsewhere import supervisors_elsewhere
from bgjobs.supervisor.status import SupervisorStatus
from bgjobs.why import why

WEB_2 = ProcessIdentity("web-2<b>", "boot", "ns", 4711, "99")
PAGE = "/dashboard/processes"


def told(identity: ProcessIdentity = WEB_2, **values: Any) -> dict[str, Any]:
    status = SupervisorStatus(
        host=identity.host,
        boot_id=identity.boot_id,
        pid_namespace=identity.pid_namespace,
        pid=identity.pid,
        process_started=identity.started,
        started_at="2026-01-01T00:00:00+00:00",
        database="sqlite://",
        backend="local",
        processes=3,
        start_method="fork",
        version="1.2.3",
    )
    return {**asdict(status), **values}


def lease(site: Site, about: Any, *, seconds: float = 30.0, identity: ProcessIdentity = WEB_2) -> None:
    """A lease with so many seconds left."""
    name = leases.machine(identity.host, identity.boot_id, identity.pid_namespace)
    with site.state.store.database.writing() as connection:
        leases.renew(connection, name, "holder", seconds, {})
        connection.execute(update(leases.leases).where(leases.leases.c.name == name).values(about=about))


def runs_there(site: Site) -> int:
    job_id = site.dispatch("run", {"to": "ada", "password": "hush-hush"})
    values = {"status": "running", "backend": "local", "attempt": 1, "started_at": datetime.now(UTC)}
    site.change(job_id, **{**values, **WEB_2.columns()})
    return job_id


def elsewhere(site: Site) -> list[tuple[str, bool]]:
    with site.state.store.database.reading() as connection:
        return [(item.status.host, item.is_heard_of) for item in supervisors_elsewhere(connection)]


def test_a_host_that_is_heard_of(site: Site) -> None:
    lease(site, told())
    job_id = runs_there(site)
    page = parsed(site.get(PAGE).text)
    words = page.one("section", **{"aria-labelledby": "hosts-title"}).words
    assert "web-2<b> 4711 3" in words
    assert "at work" in words
    assert "the hosts below run the jobs" in page.one("section", **{"aria-labelledby": "supervisor-title"}).words
    assert "on web-2<b>" in page.one("tr", id=f"job-{job_id}").words
    assert why(site.state, job_id)[0].words.startswith("It runs on web-2<b>, and was started")
    output = site.app.test_cli_runner().invoke(args=["bgjobs", "status"]).output
    assert "web-2<b>" in output
    assert "s left" in output


def test_a_host_that_is_not_heard_of_any_more(site: Site) -> None:
    lease(site, told(), seconds=-45.0)
    job_id = runs_there(site)
    page = parsed(site.get(PAGE).text)
    assert "not heard of any more" in page.one("section", **{"aria-labelledby": "hosts-title"}).words
    assert "which is not heard of any more" in page.one("tr", id=f"job-{job_id}").words
    (reason,) = why(site.state, job_id)
    assert reason.words.startswith(
        "It was started on web-2<b>, of which nobody has heard since its lease ended, 4"
    )
    assert "another host runs it again" in reason.remedy
    assert "ended 4" in site.app.test_cli_runner().invoke(args=["bgjobs", "status"]).output


def test_a_job_that_waits_for_a_slot_of_any_host(site: Site) -> None:
    waiting = site.dispatch("run", {"to": "ada", "password": "x"})
    lease(site, told(processes=2))
    for _ in range(2):
        runs_there(site)
    reasons = {reason.condition: reason for reason in why(site.state, waiting)}
    assert reasons["A supervisor is at work"].words == "Pid 4711 on web-2<b>."
    assert "All 2 slots are busy" in reasons["A slot is free"].words
    assert "Supervisor running on web-2" in site.get(PAGE).text
    (found,) = [check for check in examine(site.state, quick=True) if check.check == "supervisor"]
    assert (found.ok, found.detail) == (True, "none is running here; there is one on web-2<b>")


def test_the_own_machine_is_no_other_host(site: Site) -> None:
    own = own_identity()
    lease(site, told(own), identity=own)
    assert elsewhere(site) == []
    assert "hosts-title" not in site.get(PAGE).text


HOSTILE = [
    None,
    "text",
    ["list"],
    {},
    told(pid="x"),
    told(processes=None),
    told(host=["web-2"]),
    {"host": "web-2"},
]


@pytest.mark.parametrize("about", HOSTILE, ids=[str(item)[:20] for item in HOSTILE])
def test_what_is_no_description_is_not_shown(site: Site, about: Any) -> None:
    lease(site, about)
    assert elsewhere(site) == []
    assert site.get(PAGE).status_code == 200


def test_a_host_with_another_version_is_shown(site: Site) -> None:
    lease(site, told(started_at=None, version=None, what_a_later_version_tells={"x": 1}))
    assert elsewhere(site) == [("web-2<b>", True)]
    assert site.get(PAGE).status_code == 200
