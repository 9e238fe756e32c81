"""F16: somebody sets the clock by an hour while jobs run, wait for a retry, and wait for a process.

All processes are forks of this one, and look at a clock that the test sets.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from real_site import MakeSite

from bgjobs import clock

HOUR = 3600.0
RETRY_DELAY = 3.0


@pytest.fixture
def set_clock(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], None]:
    """A function that sets the wall clock of all processes, so many seconds off the true time."""
    file = tmp_path_factory.mktemp("clock") / "off"
    file.write_text("0")
    # Replaced as a whole, so that nobody reads half of a number.
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(seconds=float(file.read_text())))

    def set_to(seconds: float) -> None:
        new = file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(file)

    return set_to


@pytest.mark.parametrize("off", [HOUR, -HOUR])
def test_nobody_waits_longer_or_is_stopped_because_the_clock_was_set(
    make_warm_site: MakeSite, set_clock: Callable[[float], None], off: float
) -> None:
    site = make_warm_site(processes=2)
    running = [site.dispatch("Plain.hold", {"gate": "running"}, timeout=600)]
    site.until_noted(running[0])
    retried = site.dispatch("Plain.flaky", {"failures": 1}, retry_delay=RETRY_DELAY)
    failed = site.until_noted(retried)
    site.until_ended_badly(retried)
    running.append(site.dispatch("Plain.hold", {"gate": "first"}, timeout=600))
    site.until_noted(running[1])
    # Both processes are taken, so these wait, though they are due.
    due = [site.dispatch("Plain.nothing") for _ in range(3)]
    set_clock(off)
    site.open_gate("first")
    rows = site.wait(retried, *due)
    assert [(row.status, row.retry_count) for row in rows] == [("completed", 1)] + [("completed", 0)] * 3
    again = site.events(retried.id, "start")[1].moment - failed.moment
    # The hour is what it must not be off by; a busy machine may be late by less.
    assert RETRY_DELAY - 0.1 <= again < RETRY_DELAY + 10
    assert site.row(running[0].id).status == "running"
    site.open_gate("running")
    rows += site.wait(*running)
    assert {row.attempt for row in rows[1:]} == {1}
    for job in (retried, *due, *running):
        assert all(attempt.ended_at >= attempt.started_at for attempt in site.attempts(job.id))


@pytest.mark.parametrize("off", [HOUR, -HOUR])
def test_a_job_that_is_adopted_after_the_clock_was_set_is_not_taken_for_one_that_ran_too_long(
    make_warm_site: MakeSite, set_clock: Callable[[float], None], off: float
) -> None:
    site = make_warm_site()
    job = site.dispatch("Plain.hold", {"gate": "adopted"}, timeout=600)
    site.until_noted(job)
    supervisor = site.until_supervised().pid
    set_clock(off)
    site.kill(supervisor)
    site.until_supervised(supervisor)
    assert site.run("Plain.nothing").status == "completed"  # it has had a turn, and looked at what runs
    site.open_gate("adopted")
    (row,) = site.wait(job)
    assert (row.status, row.attempt, len(site.events(job.id, "start"))) == ("completed", 1, 1)
