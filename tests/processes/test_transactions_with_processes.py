"""A dispatch in the caller's transaction (F31, F32): the job runs after the commit, and never after a rollback."""

from __future__ import annotations

import subprocess
import sys

import pytest
from real_site import MakeSite, RealSite
from waiting import monotonic, until

from bgjobs import run_background_job
from bgjobs.exceptions import EnqueueWouldDeadlock

# How long a commit may wait whose ring got lost, by the promise.
FOUND_WITHIN = 5.0


@pytest.fixture
def shop(site: RealSite) -> RealSite:
    """The site with the application's own table, and its supervisor at work."""
    with site.app.app_context():
        site.state.db.create_all()  # type: ignore[union-attr]
    site.run("Plain.nothing")
    return site


def order(site: RealSite, what: str) -> object:
    return sys.modules[site.name].Order(what=what)


def test_a_job_runs_after_the_commit_and_not_before(shop: RealSite) -> None:
    with shop.app.app_context():
        session = shop.state.db.session  # type: ignore[union-attr]
        session.add(order(shop, "kept"))
        job = run_background_job(shop.job_class("Plain"), "nothing", session=session)
        # Another job, dispatched later and finished, shows that there was time to start this one.
        session.flush()
        assert shop.query("SELECT count(*) FROM background_jobs WHERE id = ?", job.id) == [(0,)]
        assert not shop.events(job.id)
        committed_at = monotonic()
        session.commit()
    (row,) = shop.wait(job)
    assert row.status == "completed"
    assert shop.events(job.id, "start")[0].moment >= committed_at


def test_a_rollback_leaves_neither_row_nor_run(shop: RealSite) -> None:
    with shop.app.app_context():
        session = shop.state.db.session  # type: ignore[union-attr]
        job = run_background_job(shop.job_class("Plain"), "nothing", session=session)
        session.rollback()
    assert shop.run("Plain.nothing").status == "completed"
    assert shop.query("SELECT count(*) FROM background_jobs WHERE id = ?", job.id) in ([(0,)], [(1,)])
    assert len(shop.events(job.id, "start")) <= 1  # the id went to the job after it, if to any


def test_a_rolled_back_savepoint_takes_its_job_with_it(shop: RealSite) -> None:
    with shop.app.app_context():
        session = shop.state.db.session  # type: ignore[union-attr]
        kept = run_background_job(shop.job_class("Plain"), "say", {"words": "kept"}, session=session)
        inner = session.begin_nested()
        run_background_job(shop.job_class("Plain"), "say", {"words": "dropped"}, session=session)
        inner.rollback()
        with session.begin_nested():
            also = run_background_job(shop.job_class("Plain"), "say", {"words": "also kept"}, session=session)
        session.commit()
    rows = shop.wait(kept, also)
    assert [row.parameters for row in rows] == [{"words": "kept"}, {"words": "also kept"}]
    assert shop.query("SELECT count(*) FROM background_jobs WHERE parameters LIKE '%dropped%'") == [(0,)]


@pytest.mark.parametrize(("moment", "runs"), [("before_commit", False), ("after_commit", True)])
def test_the_caller_dies(shop: RealSite, moment: str, runs: bool) -> None:
    """Killed after its commit and before the ring, or in the middle of its transaction."""
    code = """
import os, signal
from bgjobs import run_background_job
from sqlalchemy import event
app = site.create_app()
with app.app_context():
    session = site.db.session
    event.listen(session(), sys.argv[1], lambda session: os.kill(os.getpid(), signal.SIGKILL))
    run_background_job(site.jobs.Plain, "say", {"words": sys.argv[1]}, session=session)
    session.commit()
"""
    with shop.python(code, moment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as caller:
        assert caller.wait(30) == -9
    died_at = monotonic()
    found = shop.query("SELECT id FROM background_jobs WHERE parameters LIKE ?", f"%{moment}%")
    assert len(found) == (1 if runs else 0)
    if runs:
        started = shop.until_noted(shop.handle(found[0][0]), seconds=FOUND_WITHIN + 5)
        assert started.moment - died_at <= FOUND_WITHIN
        shop.wait(shop.handle(found[0][0]))


def test_a_dispatch_that_would_wait_for_itself_is_refused_at_once(shop: RealSite) -> None:
    with shop.app.app_context():
        session = shop.state.db.session  # type: ignore[union-attr]
        session.add(order(shop, "in work"))
        session.flush()
        took = []
        for _ in range(5):  # the fastest counts: the machine has other things to do
            begin = monotonic()
            with pytest.raises(EnqueueWouldDeadlock, match="session="):
                run_background_job(shop.job_class("Plain"), "nothing")
            took.append(monotonic() - begin)
        assert min(took) < 0.05
        job = run_background_job(shop.job_class("Plain"), "nothing", session=session)
        session.commit()
    assert shop.wait(job)[0].status == "completed"


def test_the_first_dispatch_ever_may_be_in_a_transaction(make_site: MakeSite) -> None:
    site = make_site()
    with site.app.app_context():
        session = site.state.db.session  # type: ignore[union-attr]
        job = run_background_job(site.job_class("Plain"), "nothing", session=session)
        session.commit()
    assert site.wait(job)[0].status == "completed"


def test_a_stranger_locks_the_database_for_three_seconds_and_nobody_notices(make_site: MakeSite) -> None:
    """F13: the supervisor waits, the callers wait; jobs that run are not disturbed."""
    site = make_site()
    held = site.dispatch("Plain.hold", {"gate": "on"})
    site.until_noted(held)
    supervisor = site.until_supervised().pid
    stranger = site.stranger()
    stranger.execute("BEGIN IMMEDIATE")
    locked_at = monotonic()
    site.open_gate("on")
    release = site.python(  # the lock is held by us, so somebody else has to dispatch
        """
from bgjobs import run_background_job
app = site.create_app()
with app.app_context():
    print(run_background_job(site.jobs.Plain, "nothing").id)
""",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with release:
        until(lambda: monotonic() - locked_at >= 3)
        assert site.row(held.id).status == "running"
        stranger.execute("ROLLBACK")
        stranger.close()
        printed, _ = release.communicate(timeout=30)
    rows = site.wait(held, site.handle(int(printed)))
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    assert site.until_supervised().pid == supervisor
    with open(site.state.folder.log) as log:
        assert "locked" not in log.read()
