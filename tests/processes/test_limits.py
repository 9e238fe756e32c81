"""What a job may use, what is known of one that died, and who may hold it up: with real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from limits_site import LimitsSite, is_alive, limits_site, until

from bgjobs import lookups


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LimitsSite]:
    with limits_site(tmp_path_factory.mktemp("limits"), kill_grace=1, idle_timeout=60, processes=4) as site:
        yield site


# -- what is known of a process that died ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGKILL, "killed by signal 9 (SIGKILL) from outside; "),
        (signal.SIGSEGV, "killed by signal 11 (SIGSEGV): it crashed"),
        (signal.SIGUSR1, "killed by signal 10 (SIGUSR1) from outside"),
    ],
)
def test_a_lost_process_leaves_all_that_is_known_of_it(site: LimitsSite, number: int, words: str) -> None:
    job = site.dispatch("die", {"number": int(number)}, max_retries=0).wait(30)
    row, (attempt,) = site.row(job.id), site.rows(lookups.attempts, job.id)
    error = row.error_message
    assert error.startswith(f"JobProcessLost: {words}")
    for fact in ("peak memory ", " s of CPU", "last progress: 3 of 10, the third of ten", "/ line 59"):
        assert fact in error
    assert "\n" not in error
    assert (attempt.outcome, attempt.exit_status, row.exit_status) == ("lost", -number, -number)
    assert attempt.peak_rss > 2**20
    assert attempt.cpu_seconds > 0
    printed = [line.strip() for line in attempt.traceback.splitlines() if line.startswith("  line ")]
    assert printed == [f"line {number}" for number in range(10, 60)]
    log = (site.folder / "logs" / "background_jobs_errors.log").read_text()
    assert f"{words}" in log
    assert "Load::die |     line 59" in log


def test_a_killed_job_names_who_cancelled_it(site: LimitsSite) -> None:
    job = site.dispatch("hold_deaf", {"gate": "deaf"})
    pid = site.pid_at("deaf")
    answer = site.flask("cancel", str(job.id))
    assert answer.returncode == 0, answer.stderr
    assert job.wait(30).status == "cancelled"
    row, (attempt,) = site.row(job.id), site.rows(lookups.attempts, job.id)
    assert row.cancel_requested_by.endswith(" on the command line")
    assert row.error_message.startswith(
        f"JobCancelled: Cancelled by {row.cancel_requested_by}: killed by signal 9 (SIGKILL), by bgjobs; "
    )
    assert attempt.exit_status == -signal.SIGKILL
    assert any(f"asked to stop by {row.cancel_requested_by}" in message for message in site.story(job.id))
    assert not is_alive(pid)


def test_a_killed_job_whose_time_was_over_says_so(site: LimitsSite) -> None:
    job = site.dispatch("hold_deaf", {"gate": "slow"}, timeout=0.3, max_retries=0).wait(30)
    (attempt,) = site.rows(lookups.attempts, job.id)
    assert attempt.outcome == "timed_out"
    assert job.error_message is not None
    assert job.error_message.startswith("JobTimedOut: The job ran longer than its timeout of 0.3 s.")
    assert "killed by signal 9 (SIGKILL), by bgjobs; peak memory " in job.error_message


def test_a_job_whose_supervisor_died_too_is_told_by_what_its_row_says(site: LimitsSite, tmp_path: Path) -> None:
    with limits_site(tmp_path, idle_timeout=60) as other:
        job = other.dispatch("hold", {"gate": "both"}, max_retries=0)
        pid = other.pid_at("both")
        other.kill_supervisor()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(pid))
        other.state.backend.wake()
        assert job.wait(30).status == "failed"
        assert job.error_message == "JobProcessLost: the process is gone and nobody saw how it ended"
