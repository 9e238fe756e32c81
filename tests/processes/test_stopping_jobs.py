"""Cancelling and timeouts (F6, F33): the ladder from a request over SIGTERM to SIGKILL."""

from __future__ import annotations

import random
import time

import pytest
from census import exists
from clean_end import KILL_GRACE
from real_site import RealSite, died_within, moment_of
from waiting import monotonic, until

from bgjobs.exceptions import InvalidTransition


def test_a_pending_job_is_cancelled_at_once(site: RealSite) -> None:
    job = site.dispatch("Plain.nothing", delay=3600)
    assert job.cancel().status == "cancelled"
    assert site.row(job.id).status == "cancelled"
    with pytest.raises(InvalidTransition):
        job.cancel()
    assert not site.events(job.id)


@pytest.mark.parametrize("method", ["by_hanging", "by_spinning"])
def test_a_running_job_is_interrupted(site: RealSite, method: str) -> None:
    job = site.dispatch(f"Crash.{method}")
    pid = site.until_noted(job).pid
    asked_at = monotonic()
    assert job.cancel().status == "running"
    (row,) = site.wait(job)
    assert row.status == "cancelled"
    assert moment_of(row.completed_at) - asked_at < KILL_GRACE  # it was not killed: it heard
    assert died_within([pid], 5)
    assert len(site.events(job.id, "start")) == 1


@pytest.mark.parametrize("method", ["by_hanging_deaf", "by_hanging_in_c"])
def test_a_deaf_job_is_killed_after_the_grace_period(site: RealSite, method: str) -> None:
    job = site.dispatch(f"Crash.{method}")
    pid = site.until_noted(job, "deaf" if method.endswith("deaf") else "start").pid
    asked_at = monotonic()
    job.cancel()
    (row,) = site.wait(job)
    assert row.status == "cancelled"
    assert KILL_GRACE * 0.9 <= moment_of(row.completed_at) - asked_at <= KILL_GRACE + 1
    assert died_within([pid], 5)


def test_a_job_that_looks_may_tidy_up(site: RealSite) -> None:
    job = site.dispatch("Plain.watch_cancelled")
    site.until_noted(job, "looking")
    job.cancel()
    (row,) = site.wait(job)
    assert row.status == "cancelled"
    assert site.events(job.id, "tidied")
    assert site.events(job.id, "end")


def test_a_job_between_two_attempts_is_cancelled_at_once(site: RealSite) -> None:
    job = site.dispatch("Plain.flaky", {"failures": 9}, retry_delay=3600)
    site.until_ended_badly(job)
    assert job.cancel().status == "cancelled"
    assert len(site.events(job.id, "start")) == 1


@pytest.mark.parametrize("method", ["by_hanging", "by_spinning", "by_hanging_deaf", "by_hanging_in_c"])
def test_a_timeout_ends_whatever_hangs(site: RealSite, method: str) -> None:
    """SIGTERM when the time is over, SIGKILL after the grace period; retried like any other failure."""
    row = site.run(f"Crash.{method}", timeout=0.3, max_retries=1)
    assert (row.status, row.retry_count) == ("failed", 1)
    assert row.error_message.startswith("JobTimedOut")
    attempts = site.attempts(row.id)
    assert [attempt.outcome for attempt in attempts] == ["timed_out", "timed_out"]
    for attempt, start in zip(attempts, site.events(row.id, "start"), strict=True):
        ran = moment_of(attempt.ended_at) - moment_of(attempt.started_at)
        assert 0.3 <= ran <= 0.3 + KILL_GRACE + 1
        assert not exists(start.pid)


def test_a_job_in_time_is_left_alone(site: RealSite) -> None:
    row = site.run("Plain.nothing", timeout=30)
    assert (row.status, row.retry_count) == ("completed", 0)


def test_cancel_races_with_the_end_and_exactly_one_wins(site: RealSite) -> None:
    seen = set()
    randomness = random.Random(7)
    for round_number in range(50):
        job = site.dispatch("Plain.hold", {"gate": f"race {round_number}"})
        site.until_noted(job)
        lead = randomness.uniform(-0.006, 0.012)  # the very moment is what is drawn here, not waited for
        refused = False
        if lead > 0:
            site.open_gate(f"race {round_number}")
            time.sleep(lead)
        try:
            job.cancel()
        except InvalidTransition:
            refused = True
        if lead <= 0:
            time.sleep(-lead)
            site.open_gate(f"race {round_number}")
        (row,) = site.wait(job)
        assert row.status in ("completed", "cancelled")
        if refused:
            assert row.status == "completed"
        (attempt,) = site.attempts(job.id)
        assert attempt.outcome in (row.status, "stopped")
        # Whoever wins says so once, and the other one not at all.
        told = [message for _, message in site.story(job.id)]
        ends = [m for m in told if m in ("Background job completed processing", "Background job cancelled")]
        assert len(ends) == 1
        seen.add(row.status)
    assert seen == {"completed", "cancelled"}


def test_a_second_cancel_changes_nothing(site: RealSite) -> None:
    job = site.dispatch("Crash.by_hanging_deaf")
    site.until_noted(job, "deaf")
    job.cancel()
    asked = until(lambda: site.row(job.id).cancel_requested_at)
    job.cancel()
    assert site.row(job.id).cancel_requested_at == asked
    assert site.wait(job)[0].status == "cancelled"
    assert len([message for _, message in site.story(job.id) if "asked to stop" in message]) == 1
