"""A process is held up and goes on later (F17): a laptop that is closed, a debugger, SIGSTOP by mistake."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from clean_end import KILL_GRACE
from real_site import MakeSite, RealSite
from waiting import monotonic, until

from bgjobs import lookups
from bgjobs.runner.outcome import Outcome

HELD_UP_FOR = 2.0
# A dispatch takes some 2 ms; who waited for the supervisor would wait for as long as that is held up.
NOT_WAITED = 0.5


@contextmanager
def held_up(site: RealSite, pid: int) -> Iterator[None]:
    """SIGSTOP, at a moment when the process holds no lock of the database; SIGCONT in the end."""

    def stopped_without_a_lock() -> bool:
        os.kill(pid, signal.SIGSTOP)
        if not site.state.store.database.is_locked():
            return True
        os.kill(pid, signal.SIGCONT)
        return False

    site.until(stopped_without_a_lock, what=f"{pid} is held up")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_nobody_takes_the_place_of_a_supervisor_that_is_held_up(make_site: MakeSite) -> None:
    site = make_site()
    held = [site.dispatch("Plain.hold", {"gate": "on"}) for _ in range(2)]
    for job in held:
        site.until_noted(job)
    status = site.until_supervised()
    with held_up(site, status.pid):
        held_at = monotonic()
        took, jobs = [], []
        while monotonic() - held_at < HELD_UP_FOR:  # more rings than the doorbell has room for
            begin = monotonic()
            jobs.append(site.dispatch("Plain.nothing"))
            took.append(monotonic() - begin)
            until(lambda begin=begin: monotonic() - begin >= 0.05)
            assert site.supervisors() == [status.pid]
        assert max(took) < NOT_WAITED
        # Those that run go on, and their outcome waits for who is to write it.
        site.open_gate("on")
        for job in held:
            site.until_noted(job, "end")
        assert {site.row(job.id).status for job in held} == {"running"}
        assert {site.row(job.id).status for job in jobs} == {"pending"}
    rows = site.wait(*held, *jobs)
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    assert site.until_supervised().pid == status.pid
    assert site.supervisors() == [status.pid]


def test_an_outcome_that_comes_too_late_changes_nothing(make_site: MakeSite) -> None:
    """While the supervisor is held up, somebody who may do so puts the job back; then its outcome arrives."""
    site = make_site()
    job = site.dispatch("Plain.hold", {"gate": "on"})
    site.until_noted(job)
    with held_up(site, site.until_supervised().pid):
        site.open_gate("on")
        site.until_noted(job, "end")
        row = site.row(job.id)
        execution = lookups.execution_of(row, token=row.execution_token, attempt=row.attempt)
        with site.state.store.changing() as changes:
            changes.finish([(execution, Outcome("released"))])
        assert site.row(job.id).status == "pending"
    (row,) = site.wait(job)
    assert (row.status, row.attempt, row.retry_count) == ("completed", 2, 0)
    assert [item.outcome for item in site.attempts(job.id)] == ["released", "completed"]
    assert len(site.events(job.id, "start")) == 2


def test_a_fork_server_that_is_held_up_costs_no_attempt(make_site: MakeSite) -> None:
    site = make_site()
    site.run("Plain.nothing")
    status = site.until_supervised()
    assert status.fork_server_pid is not None
    with held_up(site, status.fork_server_pid):
        jobs = [site.dispatch("Plain.nothing") for _ in range(12)]
        # As many as there were processes that waited already.
        first = site.until(lambda: site.events(what="end")[1:], what="the first of them ran")
        assert first
    rows = site.wait(*jobs)
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}


def test_a_job_that_is_held_up_goes_on_or_its_time_is_over(make_site: MakeSite) -> None:
    site = make_site()
    patient = site.dispatch("Plain.hold", {"gate": "on"})
    limited = site.dispatch("Plain.hold", {"gate": "on"}, timeout=1, max_retries=0)
    started = site.until_noted(limited)
    with held_up(site, site.until_noted(patient).pid):
        os.kill(started.pid, signal.SIGSTOP)
        others = site.wait(*[site.dispatch("Plain.nothing") for _ in range(5)])
        (row,) = site.wait(limited)
        # SIGTERM does not reach who is held up; SIGKILL does. The promise is a second beyond both.
        assert monotonic() - started.moment < 1 + KILL_GRACE + 5
        assert (row.status, row.error_message.partition(":")[0]) == ("failed", "JobTimedOut")
        site.open_gate("on")
        assert site.row(patient.id).status == "running"
    (row,) = site.wait(patient)
    assert {(row.status, row.attempt) for row in (row, *others)} == {("completed", 1)}
