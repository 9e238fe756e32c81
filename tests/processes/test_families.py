"""What a job started does not outlive it when it is stopped or dies (F7)."""

from __future__ import annotations

import pytest
from census import exists
from clean_end import KILL_GRACE
from real_site import RealSite, died_within

# From the end of the job, by the promise.
GONE_WITHIN = 2.0


def family_of(site: RealSite, job: object) -> list[int]:
    """The pids of the children: in the job's group, in a session of its own, and the classic daemon."""
    site.until_noted(job, "settled")  # type: ignore[arg-type]
    children = [int(event.what.partition("-")[2]) for event in site.events(job.id, "child-")]  # type: ignore[attr-defined]
    assert len(children) == 3
    assert all(map(exists, children))
    return children


@pytest.mark.parametrize("deaf", [False, True])
def test_cancelling_reaches_the_whole_family(site: RealSite, deaf: bool) -> None:
    job = site.dispatch("Family.have_children", {"gate": "never", "deaf": deaf})
    children = family_of(site, job)
    job.cancel()
    assert site.wait(job)[0].status == "cancelled"
    assert died_within(children, GONE_WITHIN)


@pytest.mark.parametrize("deaf", [False, True])
def test_a_timeout_reaches_the_whole_family(site: RealSite, deaf: bool) -> None:
    job = site.dispatch("Family.have_children", {"gate": "never", "deaf": deaf}, timeout=1.5, max_retries=0)
    children = family_of(site, job)
    (row,) = site.wait(job)
    assert row.error_message.startswith("JobTimedOut")
    assert died_within(children, KILL_GRACE + GONE_WITHIN)


def test_a_crash_leaves_no_family_behind(site: RealSite) -> None:
    job = site.dispatch("Family.have_children", {"gate": "never"}, max_retries=0)
    children = family_of(site, job)
    site.kill(site.row(job.id).pid)
    assert site.wait(job)[0].status == "failed"
    assert died_within(children, GONE_WITHIN)


def test_a_crash_after_that_of_the_fork_server_leaves_nothing_of_its_group(site: RealSite) -> None:
    """Nobody is there to inherit the others, so those that left its group stay: here, two."""
    job = site.dispatch("Family.have_children", {"gate": "never"}, max_retries=0)
    in_its_group, *others = family_of(site, job)
    before = site.until_supervised().fork_server_pid
    assert before is not None
    site.kill(before)
    site.until_told(lambda status: status.fork_server_pid not in (None, before))
    site.kill(site.row(job.id).pid)
    assert site.wait(job)[0].status == "failed"
    assert died_within([in_its_group], GONE_WITHIN)
    site.kill(*others)


def test_what_a_job_leaves_behind_on_purpose_may_stay(site: RealSite) -> None:
    """A job that completes may have started something that is to go on; the crash of another is no reason to
    end it."""
    job = site.dispatch("Family.have_children", {"gate": "done"})
    children = family_of(site, job)
    site.open_gate("done")
    assert site.wait(job)[0].status == "completed"
    other = site.dispatch("Family.have_children", {"gate": "never"}, max_retries=0)
    others = family_of(site, other)
    site.kill(site.row(other.id).pid)
    site.wait(other)
    assert died_within(others, GONE_WITHIN)
    assert all(map(exists, children))
    site.kill(*children)
