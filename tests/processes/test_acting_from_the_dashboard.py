"""What the buttons of the dashboard do to real processes: kill, pause, resume; and why a job really waits."""

from __future__ import annotations

import psutil
import pytest
from census import exists
from real_site import MakeSite, RealSite, died_within, moment_of
from test_families import GONE_WITHIN, family_of
from waiting import monotonic, until

from bgjobs import pausing
from bgjobs.why import obstacle, why

_TOKEN = "t" * 43


@pytest.fixture
def open_site(make_site: MakeSite) -> RealSite:
    return make_site(dashboard_access="open", kill_grace=30, processes=1)


def press(site: RealSite, job_id: int, action: str) -> int:
    client = site.app.test_client()
    client.set_cookie("bgjobs_csrf", _TOKEN, path="/dashboard")
    return client.post(f"/dashboard/jobs/{job_id}/{action}", data={"csrf_token": _TOKEN}).status_code


def is_stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def test_a_kill_ends_the_job_and_its_family_at_once(open_site: RealSite) -> None:
    """One that hears no SIGTERM, was asked to stop before, and would have half a minute for that."""
    site = open_site
    job = site.dispatch("Family.have_children", {"gate": "never", "deaf": True}, max_retries=3)
    children = family_of(site, job)
    assert press(site, job.id, "cancel") == 303
    until(lambda: any("asked to stop" in message for _, message in site.story(job.id)))
    pid, asked_at = site.row(job.id).pid, monotonic()
    assert press(site, job.id, "kill") == 303
    (row,) = site.wait(job)
    assert (row.status, row.exit_status) == ("cancelled", -9)
    assert moment_of(row.completed_at) - asked_at < 10  # and not 30
    assert died_within([pid, *children], GONE_WITHIN)
    (attempt,) = site.attempts(job.id)
    assert attempt.exception_message.startswith(
        "Killed by somebody on the dashboard: killed by signal 9 (SIGKILL)"
    )
    assert ("info", "Background job killed by somebody on the dashboard: SIGKILL to it and all it started") in (
        site.story(job.id)
    )


def test_a_killed_job_runs_again_like_any_other(open_site: RealSite) -> None:
    site = open_site
    job = site.dispatch("Plain.hold", {"gate": "again"})
    site.until_noted(job)
    press(site, job.id, "kill")
    site.wait(job)
    site.open_gate("again")
    assert press(site, job.id, "retry") == 303
    until(lambda: site.row(job.id).status == "completed")
    assert site.row(job.id).kill_requested_at is None


def test_pause_and_resume(open_site: RealSite) -> None:
    site = open_site
    job = site.dispatch("Plain.hold", {"gate": "open"})
    pid = site.until_noted(job).pid
    assert press(site, job.id, "pause") == 303
    until(lambda: is_stopped(pid))
    site.open_gate("open")
    assert press(site, job.id, "pause") == 409
    assert site.row(job.id).status == "running"
    assert press(site, job.id, "resume") == 303
    (row,) = site.wait(job)
    assert row.status == "completed"


def test_a_paused_job_can_be_killed(open_site: RealSite) -> None:
    site = open_site
    job = site.dispatch("Plain.hold", {"gate": "never"})
    pid = site.until_noted(job).pid
    press(site, job.id, "pause")
    until(lambda: is_stopped(pid))
    press(site, job.id, "kill")
    (row,) = site.wait(job)
    assert (row.status, row.exit_status) == ("cancelled", -9)
    assert not exists(pid) or died_within([pid], GONE_WITHIN)


def test_why_a_job_waits_with_a_real_supervisor(open_site: RealSite) -> None:
    """What is told is what is done: each thing that is told is taken away, and in the end the job runs."""
    site = open_site

    def told(job: object) -> str:
        found = obstacle(why(site.state, job.id))  # type: ignore[attr-defined]
        return "" if found is None else found.condition

    first = site.dispatch("Plain.hold", {"gate": "first"})
    site.until_noted(first)
    pausing.pause_queue(site.state.store, "night")
    job = site.dispatch("Plain.nothing", queue="night", delay=3600)
    assert told(first) == "It is pending"
    assert told(job) == "Its time has come"
    site.query("UPDATE background_jobs SET scheduled_at = created_at WHERE id = ?", job.id)
    assert told(job) == "Its queue is open"
    pausing.resume_queue(site.state.store, "night")
    assert told(job) == "A slot is free"
    assert f"#{first.id} Plain::hold" in obstacle(why(site.state, job.id)).words  # type: ignore[union-attr]
    site.open_gate("first")
    site.wait(first, job)
    assert told(job) == "It is pending"
    assert site.row(job.id).status == "completed"
