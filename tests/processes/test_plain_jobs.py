"""What every job can count on: it runs once, in a process of its own, and is heard."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from real_site import RealSite, moment_of
from waiting import monotonic


def test_a_job_runs_once_in_a_process_of_its_own(site: RealSite) -> None:
    rows = site.wait(*[site.dispatch("Plain.nothing") for _ in range(10)])
    assert [row.status for row in rows] == ["completed"] * 10
    starts = [start for row in rows for start in site.events(row.id, "start")]
    assert [start.pid for start in starts] == [row.pid for row in rows]
    assert len({start.pid for start in starts}) == 10


def test_current_job_speaks_to_those_who_look(site: RealSite) -> None:
    row = site.run("Plain.tell")
    assert json.loads(site.query("SELECT result FROM background_jobs WHERE id = ?", row.id)[0][0]) == row.result
    assert row.result == {"id": row.id, "retry": 0, "role": "job"}
    assert (row.progress_done, row.progress_total, row.progress_message) == (3, 3, "step 3")
    assert ("info", "half way") in site.story(row.id)
    assert row.peak_rss > 1024 * 1024
    assert row.cpu_seconds > 0
    assert site.run("Plain.result_only").result == [1, "two"]


def test_an_exception_is_retried_and_told(site: RealSite) -> None:
    row = site.run("Plain.flaky", {"failures": 2})
    assert (row.status, row.retry_count, row.result, row.error_message) == ("completed", 2, 2, None)
    assert [attempt.outcome for attempt in site.attempts(row.id)] == ["failed", "failed", "completed"]
    assert len({attempt.pid for attempt in site.attempts(row.id)}) == 3
    lost = site.run("Plain.flaky", {"failures": 9}, max_retries=1)
    assert (lost.status, lost.retry_count) == ("failed", 1)
    assert lost.error_message == "ConnectionError: retry 1"
    assert len(site.events(lost.id, "start")) == 2


def test_a_retry_waits_as_long_as_it_was_told(site: RealSite) -> None:
    row = site.run("Plain.flaky", {"failures": 2}, retry_delay=[0.3, 0.6])
    _, second, third = site.events(row.id, "start")
    ended = [moment_of(attempt.ended_at) for attempt in site.attempts(row.id)]
    # The clock of the row and that of the witness are compared, so a hair is left to them.
    assert 0.29 <= second.moment - ended[0] < 0.3 + 1
    assert 0.59 <= third.moment - ended[1] < 0.6 + 1


def test_nothing_starts_before_its_time(site: RealSite) -> None:
    now = monotonic()
    delayed = site.dispatch("Plain.nothing", delay=0.5)
    timed = site.dispatch("Plain.nothing", run_at=datetime.now(UTC) + timedelta(seconds=0.7))
    at_once = site.dispatch("Plain.nothing")
    site.wait(delayed, timed, at_once)
    moments = {job.id: site.events(job.id, "start")[0].moment - now for job in (delayed, timed, at_once)}
    assert 0.5 <= moments[delayed.id] < 0.5 + 1
    assert 0.69 <= moments[timed.id] < 0.7 + 1
    assert moments[at_once.id] < moments[delayed.id]


def test_the_applications_own_database_is_at_hand(site: RealSite) -> None:
    before = site.run("Plain.nothing").id
    site.query("CREATE TABLE IF NOT EXISTS 'order' (id INTEGER PRIMARY KEY, what VARCHAR(100))")
    site.wait(*[site.dispatch("Plain.store_order", {"what": f"{before} {number}"}) for number in range(8)])
    stored = site.query("SELECT what FROM 'order' ORDER BY id")
    assert sorted(stored) == [(f"{before} {number}",) for number in range(8)]


def test_a_job_may_dispatch_another(site: RealSite) -> None:
    child = site.run("Plain.dispatch_another").result
    (row,) = site.wait(site.handle(child))
    assert row.status == "completed"


def test_forked_jobs_share_neither_randomness_nor_connections(site: RealSite) -> None:
    """F29: what one of a hundred draws, no other draws; and none inherits an open database."""
    rows = site.wait(*[site.dispatch("Plain.draw") for _ in range(100)])
    for kind in zip(*[row.result["drawn"] for row in rows], strict=True):
        assert len(set(kind)) == 100
    assert not [link for row in rows for link in row.result["databases"]]


def test_what_a_fork_would_lose_is_started_after_it(site: RealSite) -> None:
    row = site.run("Hooked.look")
    assert row.result == {"roles": ["job"], "alive": [True], "in a thread": row.id}
