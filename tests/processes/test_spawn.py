"""A fresh interpreter for each job: the start method of systems, and applications, that cannot fork."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clean_end import real_site
from real_site import MakeSite, RealSite, died_within, moment_of
from test_fail_point_matrix import ACTIONS, armed, ticket
from waiting import monotonic

RUN_POINTS = ("run.before", "run.mid", "outcome.before_report", "outcome.after_report")
# More than that are not needed until each point was come to.
MOST_JOBS = 12


@pytest.fixture(scope="module")
def spawning_site(tmp_path_factory: pytest.TempPathFactory, empty_database) -> Iterator[RealSite]:  # type: ignore[no-untyped-def]
    settings = {"start_method": "spawn", "processes": 2}
    with real_site(tmp_path_factory.mktemp("spawn"), empty_database, settings) as site:
        yield site


@pytest.fixture
def spawning(spawning_site: RealSite) -> Iterator[RealSite]:
    yield spawning_site
    spawning_site.check()


def test_success_and_retry(spawning: RealSite) -> None:
    rows = spawning.wait(spawning.dispatch("Plain.tell"), spawning.dispatch("Plain.flaky", {"failures": 1}))
    assert [(row.status, row.retry_count) for row in rows] == [("completed", 0), ("completed", 1)]
    assert rows[0].result == {"id": rows[0].id, "retry": 0, "role": "job"}
    assert spawning.until_supervised().start_method == "spawn"


def test_kill_9(spawning: RealSite) -> None:
    job = spawning.dispatch("Plain.hold", {"gate": "kill"})
    pid = spawning.until_noted(job).pid
    killed_at = monotonic()
    spawning.kill(pid)
    attempt = spawning.until_ended_badly(job)
    assert moment_of(attempt.ended_at) - killed_at <= 1
    assert "SIGKILL" in attempt.exception_message
    spawning.open_gate("kill")
    (row,) = spawning.wait(job)
    assert (row.status, row.retry_count) == ("completed", 1)


@pytest.mark.parametrize("method", ["by_spinning", "by_hanging_deaf"])
def test_cancel(spawning: RealSite, method: str) -> None:
    job = spawning.dispatch(f"Crash.{method}")
    pid = spawning.until_noted(job).pid
    job.cancel()
    assert spawning.wait(job)[0].status == "cancelled"
    assert died_within([pid], 5)


def test_a_job_has_its_own_descriptors_and_no_others(spawning: RealSite) -> None:
    seen = spawning.run("Plain.look_around").result
    links = {number: link for number, link in seen["descriptors"].items() if "/locks/" not in link}
    assert len([link for link in links.values() if link.startswith("socket:")]) == 1
    assert len(links) == 4
    assert seen["session"]
    assert seen["blocked"] == []
    assert seen["core"] == [0, 0]
    assert "BGJOBS_ROLE" not in seen["environment"]


def test_a_job_does_not_wait_for_the_imports(spawning: RealSite) -> None:
    """Interpreters are started ahead, and have loaded the application when a job comes."""
    pytest.importorskip("setproctitle")
    spawning.run("Plain.nothing")
    took = []
    for _ in range(3):
        spawning.until_spares_are_ready(2)
        asked_at = monotonic()
        row = spawning.run("Plain.nothing")
        took.append(spawning.events(row.id, "start")[0].moment - asked_at)
    # The imports take half a second of processor time; a tenth of that is plenty for the rest.
    assert min(took) < 0.25


def test_the_work_goes_on_when_the_supervisor_is_killed(make_site: MakeSite) -> None:
    site = make_site(start_method="spawn", processes=2)
    running = site.dispatch("Plain.hold", {"gate": "on"})
    site.until_noted(running)
    supervisor = site.until_supervised().pid
    site.until_spares_are_ready(1)
    waiting = site.dispatch("Plain.nothing", delay=0.2)
    killed_at = monotonic()
    site.kill(supervisor)
    started = site.until_noted(waiting)
    assert started.moment - killed_at <= 3 + 5  # and the imports of an interpreter, twice
    site.open_gate("on")
    rows = site.wait(running, waiting)
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}


@pytest.mark.parametrize("action", ACTIONS)
def test_each_process_dies_or_meets_an_error_at_each_point(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """As in the fail-point matrix, all points of a run together: an interpreter for each would take long. What
    must be true of every job afterwards is checked by ``make_site``."""
    site = armed(make_site(start_method="spawn", processes=2), monkeypatch)
    # The supervisor by itself: those that are killed beside it are the ones that would start the next one.
    for together in (("claim.after_commit",), ("job.before_ready", "job.before_go"), RUN_POINTS):
        left = [ticket(site, point, action) for point in together]
        jobs = []
        while any(path.exists() for path in left):
            assert len(jobs) < MOST_JOBS, site.describe()
            jobs.append(site.dispatch("Plain.reach_the_middle", retry_delay=0.05))
            site.wait(jobs[-1])
        assert {row.status for row in site.wait(*jobs)} == {"completed"}
        outcomes = [attempt.outcome for job in jobs for attempt in site.attempts(job.id)]
        failed, lost = outcomes.count("failed"), outcomes.count("lost")
        if together is RUN_POINTS:
            # One after the other. The error in the midst of a job is that whose report meets the next one.
            assert (failed, lost) == (0, 2 if action == "raise" else 3)
        else:
            # At the most one: a process that had its job, unread, is taken for one that has begun.
            assert failed == 0
            assert lost <= 1
