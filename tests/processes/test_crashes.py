"""The process of a job dies in every way there is (F1-F4, F22): seen within a second, retried, told why."""

from __future__ import annotations

import os
import signal

import pytest
from real_site import RealSite, moment_of
from waiting import monotonic, until

# The promise is a second, from the death to the row.
SEEN_WITHIN = 1.0


def test_kill_9_costs_one_attempt_and_nobody_else_notices(site: RealSite) -> None:
    victim, *siblings = (site.dispatch("Plain.hold", {"gate": f"kill {number}"}) for number in range(4))
    pid = site.until_noted(victim).pid
    for sibling in siblings:
        site.until_noted(sibling)
    killed_at = monotonic()
    site.kill(pid)
    attempt = site.until_ended_badly(victim)
    assert moment_of(attempt.ended_at) - killed_at <= SEEN_WITHIN
    assert (attempt.outcome, attempt.exit_status, attempt.exception_type) == ("lost", -9, "JobProcessLost")
    assert "SIGKILL" in attempt.exception_message
    assert "peak memory" in attempt.exception_message
    site.open_gate(*[f"kill {number}" for number in range(4)])
    rows = site.wait(victim, *siblings)
    assert [(row.status, row.retry_count) for row in rows] == [("completed", 1)] + [("completed", 0)] * 3
    assert len(site.events(victim.id, "start")) == 2


@pytest.mark.parametrize(
    ("method", "parameters", "words"),
    [
        ("by_signal", {"number": int(signal.SIGKILL)}, "SIGKILL"),
        ("by_signal", {"number": int(signal.SIGTERM)}, "SIGTERM"),
        ("by_signal", {"number": int(signal.SIGHUP)}, "SIGHUP"),
        ("by_signal", {"number": int(signal.SIGUSR1)}, "SIGUSR1"),
        ("by_null_pointer", {}, "SIGSEGV"),
        ("by_abort", {}, "SIGABRT"),
        ("by_leaving", {"status": 0}, "exit status 0 before the job was done"),
        ("by_leaving", {"status": 3}, "exit status 3"),
    ],
)
def test_a_death_is_seen_within_a_second_and_retried(
    site: RealSite, method: str, parameters: dict, words: str
) -> None:  # type: ignore[type-arg]
    supervisor = site.supervisor
    job = site.dispatch(f"Crash.{method}", parameters)
    started = site.until_noted(job)
    attempt = site.until_ended_badly(job)
    assert moment_of(attempt.ended_at) - started.moment <= SEEN_WITHIN
    assert attempt.outcome == "lost"
    assert words in attempt.exception_message
    (row,) = site.wait(job)
    assert (row.status, row.retry_count) == ("completed", 1)
    assert any(words in message for kind, message in site.story(job.id) if kind == "failure")
    if supervisor is not None:
        assert site.supervisor == supervisor


def test_the_last_output_stands_in_the_error(site: RealSite) -> None:
    row = site.run("Crash.by_signal", {"number": int(signal.SIGKILL), "times": 9}, max_retries=0)
    assert row.status == "failed"
    assert row.error_message.endswith("last output: a last word")


@pytest.mark.parametrize("what", ["SystemExit", "KeyboardInterrupt", "Unheard"])
def test_what_is_no_exception_is_a_failed_attempt_all_the_same(site: RealSite, what: str) -> None:
    row = site.run("Crash.by_raising", {"what": what})
    assert (row.status, row.retry_count) == ("completed", 1)
    first, _ = site.attempts(row.id)
    assert (first.outcome, first.exception_type) == ("failed", what)


def test_no_core_file_is_left(site: RealSite) -> None:
    site.run("Crash.by_abort")
    assert site.run("Plain.look_around").result["core"] == [0, 0]
    cores = [name for _, _, names in os.walk(site.folder) for name in names if name.startswith("core")]
    assert not cores


def test_a_job_may_kill_its_parent(site: RealSite) -> None:
    """The fork server dies; the job does not notice, and another fork server takes its place."""
    before = site.until_supervised().fork_server_pid
    row = site.run("Crash.by_killing_its_parent")
    assert (row.status, row.retry_count) == ("completed", 0)
    assert site.run("Plain.nothing").status == "completed"
    until(lambda: site.until_supervised().fork_server_pid != before, what="another fork server")


def test_a_job_may_leave_its_session(site: RealSite) -> None:
    assert site.run("Crash.by_leaving_its_session").status == "completed"


def test_a_job_may_close_every_descriptor(site: RealSite) -> None:
    """It cannot report any more, so it writes its own outcome; and the output is gone, not the job."""
    row = site.run("Crash.by_closing_everything")
    assert (row.status, row.retry_count) == ("completed", 0)
    assert site.run("Plain.nothing").status == "completed"


def test_a_poison_job_ends_and_the_good_ones_do_not_wait_for_it(site: RealSite) -> None:
    poison = site.dispatch(
        "Crash.by_signal", {"number": int(signal.SIGKILL), "times": 99}, max_retries=3, priority=-1
    )
    good = [site.dispatch("Plain.nothing") for _ in range(50)]
    rows = site.wait(*good)
    assert {(row.status, row.retry_count) for row in rows} == {("completed", 0)}
    (row,) = site.wait(poison)
    assert (row.status, row.retry_count) == ("failed", 3)
    assert len(site.events(poison.id, "start")) == 4
