"""The supervisor is told to stop (F20): nothing is claimed any more, nothing is lost, no attempt is used up."""

from __future__ import annotations

import os
import signal

import pytest
from clean_end import KILL_GRACE
from real_site import MakeSite, RealSite, died_within, moment_of
from waiting import monotonic, until

TERM, QUIT, INT = signal.SIGTERM, signal.SIGQUIT, signal.SIGINT


def stopped_with_work(site: RealSite, *signals: int) -> tuple[list, float]:  # type: ignore[type-arg]
    """Send the signals to a supervisor with one deaf job, one that holds, and two that wait. The jobs, and
    how long it took to leave."""
    deaf = site.dispatch("Crash.by_hanging_deaf", max_retries=0)
    held = site.dispatch("Plain.hold", {"gate": "on"}, max_retries=0)
    site.until_noted(deaf, "deaf")
    site.until_noted(held)
    waiting = [site.dispatch("Plain.nothing") for _ in range(2)]
    pid = site.until_supervised().pid
    asked_at = monotonic()
    for number in signals:
        os.kill(pid, number)
    assert died_within([pid], 10)
    return [deaf, held, *waiting], monotonic() - asked_at


@pytest.mark.parametrize("signals", [[TERM], [INT], [TERM] * 5, [TERM, QUIT], [QUIT]])
def test_unfinished_jobs_are_pending_again_with_all_attempts(make_warm_site: MakeSite, signals: list[int]) -> None:
    site = make_warm_site(processes=2)
    jobs, took = stopped_with_work(site, *signals)
    # The promise is a second beyond the grace period; the machine may have other things to do.
    assert took < KILL_GRACE + 3
    if QUIT not in signals:
        assert took >= KILL_GRACE
    until(lambda: not site.processes(), 5, what="everybody left")
    rows = [site.row(job.id) for job in jobs]
    assert [(row.status, row.retry_count) for row in rows] == [("pending", 0)] * 4
    assert [row.attempt for row in rows] == [1, 1, 0, 0]
    assert [site.attempts(job.id)[0].outcome for job in jobs[:2]] == ["released"] * 2
    # The next dispatch brings everything back; max_retries is 0, so a lost attempt would show.
    site.open_gate("on")
    more = site.dispatch("Plain.nothing")
    rows = site.wait(jobs[1], *jobs[2:], more)
    assert {row.status for row in rows} == {"completed"}
    jobs[0].cancel()
    site.wait(jobs[0])


def test_a_job_may_finish_within_the_grace_period(make_warm_site: MakeSite) -> None:
    site = make_warm_site(kill_grace=20)
    held = site.dispatch("Plain.hold", {"gate": "on"})
    site.until_noted(held)
    pid = site.until_supervised().pid
    os.kill(pid, TERM)
    until(lambda: site.supervisors() and not os.path.exists(os.path.join(site.state.folder.path, "bell")))
    late = site.dispatch("Plain.nothing")
    signalled_at = monotonic()
    site.open_gate("on")
    (row,) = site.wait(held)
    assert (row.status, row.attempt) == ("completed", 1)
    # The one that was dispatched meanwhile waits for the supervisor after this one.
    assert site.wait(late)[0].status == "completed"
    assert site.events(late.id, "start")[0].moment >= signalled_at
    assert site.until_supervised(pid).pid != pid


def test_nothing_is_claimed_after_the_signal(make_warm_site: MakeSite) -> None:
    site = make_warm_site(processes=1, kill_grace=1)
    held = site.dispatch("Plain.hold", {"gate": "on"})
    site.until_noted(held)
    waiting = [site.dispatch("Plain.nothing") for _ in range(5)]
    site.query("UPDATE background_jobs SET priority = 1 WHERE id > ?", held.id)
    pid = site.until_supervised().pid
    os.kill(pid, TERM)
    signalled_at = monotonic()
    site.open_gate("on")
    assert died_within([pid], 10)
    started = [event for job in waiting for event in site.events(job.id, "start")]
    assert all(event.moment <= signalled_at + 0.1 for event in started)
    site.dispatch("Plain.nothing")
    site.wait(held, *waiting)


def test_a_signal_during_the_boot_loses_nothing(make_site: MakeSite) -> None:
    """At whatever moment it comes: before the handlers stand it ends the process, after that it stops it."""
    site = make_site()
    for _ in range(3):
        job = site.dispatch("Plain.nothing")
        booting = until(lambda: [item for item in site.processes() if "supervisor" in " ".join(item.cmdline())])
        for process in booting:
            process.terminate()
        until(lambda: not site.processes(), 15)
        assert site.row(job.id).status in ("pending", "completed")
    assert site.run("Plain.nothing").status == "completed"
    until(lambda: not site.counts()["pending"])


def test_a_job_that_gets_the_same_sigterm_loses_no_attempt(make_warm_site: MakeSite) -> None:
    """A service manager signals every process of the service, not the supervisor alone."""
    site = make_warm_site(kill_grace=5)
    job = site.dispatch("Crash.by_hanging", max_retries=0)
    job_pid = site.until_noted(job).pid
    pid = site.until_supervised().pid
    os.kill(pid, TERM)
    os.kill(job_pid, TERM)
    asked_at = monotonic()
    assert died_within([pid, job_pid], 10)
    row = site.row(job.id)
    assert (row.status, row.retry_count) == ("pending", 0)
    (attempt,) = site.attempts(job.id)
    assert attempt.outcome == "released"
    assert moment_of(attempt.ended_at) - asked_at < 5
    job.cancel()


def test_stop_waits_until_it_has_left(make_warm_site: MakeSite) -> None:
    site = make_warm_site()
    site.run("Plain.nothing")
    pid = site.until_supervised().pid
    result = site.app.test_cli_runner().invoke(args=["bgjobs", "stop"])
    assert result.exit_code == 0
    assert str(pid) in result.output
    assert died_within([pid], 0.5)
    assert "No supervisor" in site.app.test_cli_runner().invoke(args=["bgjobs", "stop"]).output
