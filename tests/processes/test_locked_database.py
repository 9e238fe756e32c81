"""A stranger holds SQLite's write lock for longer than anybody waits (F13).

How long, and so how patient the callers and the supervisor are, is shortened here. ``BGJOBS_TEST_LOCK_SECONDS=60``
holds it that long, and leaves everybody's patience as it is.
"""

from __future__ import annotations

import os
import signal
from contextlib import closing

import pytest
from census import exists
from real_site import MakeSite, RealSite
from waiting import monotonic, until

from bgjobs.database import PATIENCE_OF_CALLER
from bgjobs.exceptions import BackendUnavailable
from bgjobs.supervisor import supervisor

LOCKED_FOR = float(os.environ.get("BGJOBS_TEST_LOCK_SECONDS", "0"))


@pytest.fixture
def patience(make_warm_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> float:
    """How long a caller waits. A supervisor that is started without an exec has what is set here, too."""
    if LOCKED_FOR:
        return PATIENCE_OF_CALLER
    monkeypatch.setattr(supervisor, "PATIENCE_OF_SUPERVISOR", 1.0)
    return 0.5


@pytest.mark.timeout(120 + LOCKED_FOR)
def test_who_waits_too_long_is_told_and_the_work_goes_on_when_the_lock_is_free(
    make_warm_site: MakeSite, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_warm_site()
    monkeypatch.setattr(site.state.store.database, "patience", patience)
    held = [site.dispatch("Plain.hold", {"gate": "on"}) for _ in range(2)]
    for job in held:
        site.until_noted(job)
    waiting = [site.dispatch("Plain.nothing", delay=0.5) for _ in range(5)]
    before, pid = site.until_supervised(), site.until_supervised().pid
    with closing(site.stranger()) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        locked_at = monotonic()
        site.open_gate("on")
        for job in held:
            site.until_noted(job, "end")
        assert refused_after(site) == pytest.approx(patience, abs=max(0.5, 0.1 * patience))
        # The supervisor gave up at least once, and it is the same that goes on.
        until(lambda: "database is locked" in logged(site), LOCKED_FOR or 30, what="the supervisor says so")
        until(lambda: monotonic() - locked_at >= LOCKED_FOR, LOCKED_FOR + 1)
        assert {site.row(job.id).status for job in held} == {"running"}
        stranger.execute("ROLLBACK")
    freed_at = monotonic()
    rows = site.wait(*held, *waiting, site.dispatch("Plain.nothing"))
    assert monotonic() - freed_at < 20
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    assert site.until_supervised().pid == pid == before.pid
    assert {line.split()[2] for line in logged(site).splitlines() if "locked" in line} == {"WARNING"}
    assert "Traceback" not in logged(site)


def test_a_timeout_is_kept_while_the_database_is_locked(make_warm_site: MakeSite) -> None:
    site = make_warm_site(BGJOBS_KILL_GRACE=0.5)
    job = site.dispatch("Plain.hold", {"gate": "never"}, timeout=1.0, max_retries=0)
    begun = site.until_noted(job)
    with closing(site.stranger()) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        until(lambda: not exists(begun.pid), 15, what="its process is gone")
        assert site.row(job.id).status == "running"  # nobody could write down how it ended
        stranger.execute("ROLLBACK")
    assert site.wait(job)[0].status == "failed"
    assert "1 s" in site.row(job.id).error_message


def test_a_supervisor_that_shall_stop_leaves_though_the_database_is_locked(make_warm_site: MakeSite) -> None:
    site = make_warm_site(BGJOBS_KILL_GRACE=1)
    job = site.dispatch("Plain.hold", {"gate": "never"})
    site.until_noted(job)
    pid = site.until_supervised().pid
    with closing(site.stranger()) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        os.kill(pid, signal.SIGTERM)
        until(lambda: not exists(pid), 20, what="the supervisor has left")
        stranger.execute("ROLLBACK")
    site.open_gate("never")
    assert site.wait(job)[0].status == "completed"


def refused_after(site: RealSite) -> float:
    """Dispatch in vain; the seconds it took to be told. Nothing is left of it."""
    begin, known = monotonic(), sum(site.counts().values())
    with pytest.raises(BackendUnavailable, match="locked"):
        site.dispatch("Plain.nothing")
    took = monotonic() - begin
    assert sum(site.counts().values()) == known
    return took


def logged(site: RealSite) -> str:
    """What the supervisor said."""
    with open(site.state.folder.log) as log:
        return log.read()
