"""Which job is next, and how many run at once."""

from __future__ import annotations

from collections.abc import Iterable

from real_site import MakeSite
from testimony import Event


def at_once(events: Iterable[Event]) -> int:
    """The most executions that the witness saw at the same time."""
    count = most = 0
    for event in sorted(events, key=lambda event: event.moment):
        count += {"start": 1, "end": -1}.get(event.what, 0)
        most = max(most, count)
    return most


def test_the_most_urgent_runs_first_then_the_oldest(make_warm_site: MakeSite) -> None:
    site = make_warm_site(processes=1)
    blocker = site.dispatch("Plain.hold", {"gate": "on"})
    site.until_noted(blocker)
    priorities = [5, 0, -3, 5, 0, -3]
    jobs = [site.dispatch("Plain.nothing", priority=priority) for priority in priorities]
    site.open_gate("on")
    site.wait(*jobs)
    ran = [event.job for event in site.events(what="start") if event.job != blocker.id]
    assert ran == [jobs[place].id for place in (2, 5, 1, 4, 0, 3)]
    # One process a job, one at a time.
    assert at_once(site.events()) == 1


def test_never_more_at_once_than_allowed(make_warm_site: MakeSite) -> None:
    site = make_warm_site(processes=3)
    jobs = [site.dispatch("Plain.last", {"seconds": 0.05}) for _ in range(15)]
    site.wait(*jobs)
    assert at_once(site.events()) == 3


def test_a_process_may_be_used_again_when_it_is_allowed_to(make_warm_site: MakeSite) -> None:
    """JOBS_PER_PROCESS: the same rules, several jobs one after the other in one process."""
    site = make_warm_site(processes=2, jobs_per_process=5)
    jobs = [site.dispatch("Plain.nothing") for _ in range(40)]
    rows = site.wait(*jobs)
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    jobs_of: dict[int, int] = {}
    for event in site.events(what="start"):
        jobs_of[event.pid] = jobs_of.get(event.pid, 0) + 1
    assert max(jobs_of.values()) == 5
    assert at_once(site.events()) <= 2
    # A failure or a death in between concerns the job that it happens to.
    flaky = site.dispatch("Plain.flaky", {"failures": 1})
    dying = site.dispatch("Crash.by_signal", {"number": 9})
    printing = site.dispatch("Plain.say", {"words": "mine"})
    rows = site.wait(flaky, dying, printing, *[site.dispatch("Plain.nothing") for _ in range(10)])
    assert [row.retry_count for row in rows[:3]] == [1, 1, 0]
    assert {row.status for row in rows} == {"completed"}
    # It may have been in the hands of the one that died, and was put back: that is another attempt's file.
    assert site.output(printing.id, rows[2].attempt).startswith(b"mine printed")
    cancelled = site.dispatch("Crash.by_hanging")
    site.until_noted(cancelled)
    cancelled.cancel()
    assert site.wait(cancelled)[0].status == "cancelled"
    assert site.run("Plain.nothing").status == "completed"


def test_a_thousand_jobs_in_a_thousand_processes(make_site: MakeSite) -> None:
    site = make_site(processes=4)
    with site.app.app_context():
        handles = [site.dispatch("Plain.nothing") for _ in range(1000)]
    site.wait(handles[-1], seconds=90)
    rows = site.wait(*handles)
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}, [
        (row.id, site.attempts(row.id)) for row in rows if row.attempt != 1
    ]
    starts = site.events(what="start")
    assert len(starts) == len({event.job for event in starts}) == len({event.pid for event in starts}) == 1000
    assert at_once(site.events()) <= 4
    assert site.run("Plain.nothing").status == "completed"
