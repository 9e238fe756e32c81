"""The supervisor, the fork server, or both are killed (F8, F9): the survivors restart the dead."""

from __future__ import annotations

import os
import signal

from census import exists
from real_site import MakeSite, RealSite, died_within
from waiting import monotonic, until

# What is promised when the supervisor dies with work pending and nobody dispatches anything is 3 s. It takes
# about one, nearly all of it imports; so on a machine with other things to do it takes longer.
BACK_WITHIN = 3.0 + 2.0


def held(site: RealSite, gate: str, count: int = 4) -> list:  # type: ignore[type-arg]
    """Jobs that run until the gate is opened."""
    jobs = [site.dispatch("Plain.hold", {"gate": gate}) for _ in range(count)]
    for job in jobs:
        site.until_noted(job)
    return jobs


def test_the_work_goes_on_when_the_supervisor_is_killed(make_site: MakeSite) -> None:
    """Four jobs run, twenty wait, and nobody dispatches anything more."""
    site = make_site(processes=6)
    running = held(site, "later")
    supervisor = site.until_supervised().pid
    # Two slots are free, and are taken by jobs that wait for their time; so the twenty are truly pending.
    more = held(site, "soon", 2)
    pending = [site.dispatch("Plain.nothing") for _ in range(20)]
    assert site.counts()["pending"] == 20
    site.kill(supervisor)
    killed_at = monotonic()
    site.open_gate("soon")
    for job in pending[:1]:
        started = site.until_noted(job)
        assert started.moment - killed_at <= BACK_WITHIN
    rows = site.wait(*more, *pending)
    assert {(row.status, row.retry_count, row.attempt) for row in rows} == {("completed", 0, 1)}
    # Those that run are adopted: nobody disturbed them.
    assert [site.row(job.id).status for job in running] == ["running"] * 4
    assert site.until_supervised(supervisor).pid != supervisor
    site.open_gate("later")
    rows = site.wait(*running)
    assert {(row.status, row.retry_count, row.attempt) for row in rows} == {("completed", 0, 1)}
    assert all(len(site.events(job.id, "start")) == 1 for job in (*running, *more, *pending))


def test_an_adopted_job_can_be_cancelled_and_times_out(make_warm_site: MakeSite) -> None:
    site = make_warm_site()
    job = site.dispatch("Crash.by_hanging")
    deaf = site.dispatch("Crash.by_hanging_deaf")
    slow = site.dispatch("Crash.by_hanging", timeout=4, max_retries=0)
    dying = site.dispatch("Plain.hold", {"gate": "never"}, max_retries=0)
    pids = [site.until_noted(item).pid for item in (job, deaf, slow, dying)]
    site.until_noted(deaf, "deaf")
    supervisor = site.until_supervised().pid
    site.kill(supervisor)
    site.until_supervised(supervisor)
    job.cancel()
    deaf.cancel()
    site.kill(pids[3])
    assert [row.status for row in site.wait(job, deaf)] == ["cancelled", "cancelled"]
    (row,) = site.wait(dying)
    assert row.status == "failed"
    assert row.error_message.startswith("JobProcessLost")
    (row,) = site.wait(slow)
    assert (row.status, row.error_message.partition(":")[0]) == ("failed", "JobTimedOut")
    assert died_within(pids, 5)


def test_one_that_was_started_where_signals_are_blocked_can_be_stopped(make_site: MakeSite) -> None:
    """A fork server, which starts the next one when it loses its supervisor, lets no signal come through."""
    site = make_site()
    site.run("Plain.nothing")
    first = site.until_supervised().pid
    site.kill(first)  # whichever of the survivors is the fastest starts the second
    second = site.until_supervised(first).pid
    os.kill(second, signal.SIGTERM)
    assert died_within([second], 5)
    until(lambda: not site.processes(), 5, what="everybody left")
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGQUIT})
    try:
        site.run("Plain.nothing")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    third = site.until_supervised().pid
    os.kill(third, signal.SIGTERM)
    assert died_within([third], 5)


def test_running_jobs_do_not_notice_a_dead_fork_server(make_site: MakeSite) -> None:
    site = make_site()
    running = held(site, "on", 3)
    before = site.until_supervised()
    assert before.fork_server_pid is not None
    waiting = site.dispatch("Plain.nothing", delay=0.3)
    killed_at = monotonic()
    site.kill(before.fork_server_pid)
    started = site.until_noted(waiting)
    # Two seconds and the time that the application takes to load; here, that is about one.
    assert started.moment - killed_at <= 2 + 2
    after = site.until_supervised()
    assert after.pid == before.pid
    assert [site.row(job.id).status for job in running] == ["running"] * 3
    # Nobody sees any more how one of them ends, but that it does is seen.
    victim = running.pop()
    killed_at = monotonic()
    site.kill(site.row(victim.id).pid)
    lost = site.until_ended_badly(victim)
    assert lost.outcome == "lost"
    site.open_gate("on")
    rows = site.wait(waiting, *running)
    assert {(row.status, row.retry_count, row.attempt) for row in rows} == {("completed", 0, 1)}
    (row,) = site.wait(victim)
    assert (row.status, row.retry_count) == ("completed", 1)


def test_both_are_killed_at_once(make_warm_site: MakeSite) -> None:
    """The jobs that run are the only ones left. The first that ends brings everything back."""
    site = make_warm_site()
    first, second = (site.dispatch("Plain.hold", {"gate": gate}) for gate in ("first", "second"))
    pids = [site.until_noted(job).pid for job in (first, second)]
    status = site.until_supervised()
    assert status.fork_server_pid is not None
    waiting = site.dispatch("Plain.nothing", delay=0.5)
    site.kill(status.pid, status.fork_server_pid)
    assert died_within([status.pid, status.fork_server_pid], 5)
    site.open_gate("first")
    rows = site.wait(first, waiting)
    assert {(row.status, row.retry_count, row.attempt) for row in rows} == {("completed", 0, 1)}
    assert exists(pids[1])
    site.open_gate("second")
    (row,) = site.wait(second)
    assert (row.status, row.attempt) == ("completed", 1)


def test_everything_is_killed_and_the_next_dispatch_recovers(make_warm_site: MakeSite) -> None:
    """What a stop of the whole container does (F10): nothing is left, the row says running."""
    site = make_warm_site()
    job = site.dispatch("Plain.hold", {"gate": "again"})
    first = site.until_noted(job)
    site.kill_everything()
    assert site.row(job.id).status == "running"
    recovered_by = site.dispatch("Plain.nothing")
    second = site.until_noted(job, count=2)
    site.open_gate("again")
    rows = site.wait(job, recovered_by)
    assert [(row.status, row.retry_count) for row in rows] == [("completed", 1), ("completed", 0)]
    assert first.pid != second.pid


def test_everything_is_killed_and_a_look_at_the_dashboard_recovers(make_warm_site: MakeSite) -> None:
    site = make_warm_site(dashboard_access="open")
    job = site.dispatch("Plain.hold", {"gate": "again"})
    site.until_noted(job)
    site.kill_everything()
    site.open_gate("again")
    assert site.app.test_client().get("/dashboard", buffered=True).status_code == 200
    (row,) = site.wait(job)
    assert (row.status, row.retry_count) == ("completed", 1)


def test_words_of_an_orphaned_job_are_heard(make_warm_site: MakeSite) -> None:
    """Its supervisor is gone when it reports progress, logs and its result; it writes them itself."""
    site = make_warm_site()
    job = site.dispatch("Plain.tell_later", {"gate": "talk"})
    site.until_noted(job)
    others = [process.pid for process in site.processes() if process.pid != site.row(job.id).pid]
    site.kill(*others)
    assert died_within(others, 5)
    site.open_gate("talk")
    (row,) = site.wait(job)
    assert (row.status, row.attempt) == ("completed", 1)
    assert row.result == "told"
    assert (row.progress_done, row.progress_total) == (1, 2)
    assert ("info", "I am alone") in site.story(job.id)
