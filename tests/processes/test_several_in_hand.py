"""A process that runs several jobs has several of them in hand: one of them is run, the others can still be
stopped, and are not lost when the process is."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from bgjobs import lookups, run_background_job, run_background_jobs
from bgjobs.app_state import app_state
from bgjobs.supervisor.control import stop
from bgjobs.supervisor.status import supervisor_status

APPLICATION = """
import os, time
from pathlib import Path
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from bgjobs import BackgroundJobs

jobs = BackgroundJobs()
FOLDER = Path(__file__).parent

@jobs.approve
class Job:
    retry_delay = 0

    def quick(self, number):
        with open(FOLDER / "witness", "a") as file:
            file.write(f"{number} {os.getpid()}\\n")

    def slow(self):
        (FOLDER / "slow").write_text(str(os.getpid()))
        while not (FOLDER / "go on").exists():
            time.sleep(0.01)

def create_app():
    app = Flask(__name__, instance_path=str(FOLDER))
    app.config.update(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{FOLDER}/jobs.db",
        BGJOBS_APP="several_in_hand:create_app",
        BGJOBS_PROCESSES=1,
        BGJOBS_JOBS_PER_PROCESS=1000,
        BGJOBS_KILL_GRACE=1,
    )
    jobs.init_app(app, SQLAlchemy(app))
    return app
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "several_in_hand.py").write_text(APPLICATION)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("several_in_hand", None)
    from several_in_hand import create_app

    with create_app().app_context():
        yield tmp_path
        (tmp_path / "go on").touch()
        stop(app_state())
        app_state().store.database.dispose()
    sys.modules.pop("several_in_hand", None)


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def running_ids():
    with app_state().store.database.reading() as connection:
        return {row.id for row in lookups.running(connection)}


def in_hand_behind_a_slow_job():
    """The handles of a slow job that is being run and of a quick one that waits in its process."""
    quick = ("several_in_hand.Job", "quick")
    # Quick ones first, so that the process may have several; then one that is slow among others.
    calls = [(*quick, {"number": number}) for number in range(200)]
    calls[150] = ("several_in_hand.Job", "slow", {})
    handles = run_background_jobs(calls)
    until(lambda: Path(sys.modules["several_in_hand"].FOLDER, "slow").exists())
    slow = handles[150]
    waiting = until(lambda: running_ids() - {slow.id})
    time.sleep(0.1)  # what ended before it is written down
    waiting = running_ids() - {slow.id}
    assert waiting, "nothing waits behind the slow job"
    assert min(waiting) > slow.id
    return handles, slow, next(handle for handle in handles if handle.id in waiting)


def times_run(folder):
    numbers = [int(line.split()[0]) for line in (folder / "witness").read_text().splitlines()]
    return {number: numbers.count(number) for number in numbers}


def test_cancelling_a_job_that_waits_stops_that_one_alone(folder):
    handles, slow, waiting = in_hand_behind_a_slow_job()
    waiting.cancel()
    time.sleep(2.5)  # longer than the grace period: nobody may be killed for it
    assert slow.refresh().status == "running"
    (folder / "go on").touch()
    assert waiting.wait(30).status == "cancelled"
    assert {handle.wait(30).status for handle in handles if handle is not waiting} == {"completed"}
    assert slow.refresh().retry_count == 0
    assert set(times_run(folder).values()) == {1}
    assert len(times_run(folder)) == 198


def test_cancelling_the_job_that_is_run_leaves_the_others_alone(folder):
    handles, slow, _ = in_hand_behind_a_slow_job()
    slow.cancel()
    assert slow.wait(30).status == "cancelled"
    assert {handle.wait(30).status for handle in handles if handle is not slow} == {"completed"}
    assert set(times_run(folder).values()) == {1}


def test_a_death_costs_the_job_that_was_run_an_attempt_and_no_other(folder):
    handles, slow, _ = in_hand_behind_a_slow_job()
    pid = int((folder / "slow").read_text())
    (folder / "go on").touch()
    os.kill(pid, signal.SIGSTOP)  # so that it is killed before it sees that it may go on
    os.kill(pid, signal.SIGKILL)
    assert {handle.wait(30).status for handle in handles} == {"completed"}
    assert {handle.retry_count for handle in handles if handle is not slow} == {0}
    assert set(times_run(folder).values()) == {1}


def test_a_process_whose_supervisor_dies_puts_back_what_it_did_not_begin(folder):
    handles, _, _ = in_hand_behind_a_slow_job()
    os.kill(supervisor_status(app_state().folder).pid, signal.SIGKILL)
    (folder / "go on").touch()
    assert {handle.wait(30).status for handle in handles} == {"completed"}
    assert {handle.retry_count for handle in handles} == {0}
    assert set(times_run(folder).values()) == {1}


def test_a_supervisor_that_was_started_with_signals_blocked_can_be_stopped(folder):
    """As a fork server starts one, which blocks them for itself."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        run_background_job("several_in_hand.Job", "quick", {"number": 1}).wait(30)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    assert stop(app_state()) is not None
    assert supervisor_status(app_state().folder) is None


def test_the_timeout_of_a_job_counts_from_when_it_is_run(folder):
    _, slow, _ = in_hand_behind_a_slow_job()
    late = run_background_job("several_in_hand.Job", "quick", {"number": 999}, timeout=1, max_retries=0)
    time.sleep(1.5)
    (folder / "go on").touch()
    assert late.wait(30).status == "completed"
    assert slow.wait(30).status == "completed"
