"""What a job may use, what is known of one that died, and who may hold it up: with real processes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from limits_site import LimitsSite, is_alive, limits_site, state_of, until

from bgjobs import lookups, pausing, samples
from bgjobs.supervisor.status import supervisor_status


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
    log = site.folder / "logs" / "background_jobs_errors.log"
    until(lambda: words in log.read_text() and "Load::die |     line 59" in log.read_text())


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
    with limits_site(tmp_path, idle_timeout=60, kill_grace=1) as other:
        job = other.dispatch("hold", {"gate": "both"}, max_retries=0)
        pid = other.pid_at("both")
        other.kill_supervisor()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(pid))
        other.state.backend.wake()
        assert job.wait(30).status == "failed"
        assert job.error_message == "JobProcessLost: the process is gone and nobody saw how it ended"


# -- memory, niceness, output ----------------------------------------------------------------------------


def test_a_job_that_takes_more_memory_than_it_may_is_stopped_and_says_so(site: LimitsSite) -> None:
    job = site.dispatch("eat", {"mebibytes": 4000}, memory="150M", max_retries=0).wait(60)
    assert job.error_message is not None
    assert job.error_message.startswith("JobMemoryExceeded: The job used ")
    assert "and its limit is 150 MiB. Raise memory" in job.error_message
    (attempt,) = site.rows(lookups.attempts, job.id)
    assert (job.status, attempt.outcome) == ("failed", "failed")
    assert attempt.peak_rss < 1000 * 2**20


def test_what_a_job_starts_counts_as_well(site: LimitsSite) -> None:
    job = site.dispatch("let_a_child_eat", {"mebibytes": 400}, memory="200M", max_retries=0).wait(60)
    assert job.error_message is not None
    assert job.error_message.startswith("JobMemoryExceeded: ")


def test_a_job_within_its_memory_is_left_alone(site: LimitsSite) -> None:
    job = site.dispatch("eat", {"mebibytes": 50, "gate": "fits"}, memory="500M")
    site.pid_at("fits")
    site.open_gate("fits")
    assert job.wait(30).status == "completed"


def test_a_nice_job_is_nice_and_its_process_takes_no_other(tmp_path: Path) -> None:
    with limits_site(tmp_path, processes=1, jobs_per_process=50, idle_timeout=60) as site:
        site.dispatch("niceness").wait(30)
        nice = site.dispatch("niceness", nice=5).wait(30)
        others = [site.dispatch("niceness").wait(30) for _ in range(3)]
        here = os.nice(0)
        assert site.row(nice.id).result == here + 5
        assert [site.row(job.id).result for job in others] == [here] * 3
        assert all(len(site.rows(lookups.attempts, job.id)) == 1 for job in (nice, *others))


def test_of_much_output_the_newest_part_is_kept(site: LimitsSite) -> None:
    job = site.dispatch("print_much", {"lines": 1000}, output_max="4K").wait(30)
    text = Path(site.state.folder.output_file(job.id, 1)).read_text()
    assert len(text) <= 4096
    assert text.startswith("[older output was left out]\n")
    assert text.rstrip().rpartition("\n")[2].startswith("line 999 ")


# -- holding up ------------------------------------------------------------------------------------------


def counted(site: LimitsSite, gate: str) -> int:
    path = site.folder / f"{gate}.count"
    return int(until(lambda: path.exists() and path.read_text()))


def test_a_paused_job_stands_still_and_so_does_the_clock_of_its_timeout(site: LimitsSite) -> None:
    job = site.dispatch("count", {"gate": "paused"}, timeout=4, max_retries=0)
    counted(site, "paused")
    pid = site.row(job.id).pid
    job.pause()
    until(lambda: state_of(pid) == psutil.STATUS_STOPPED)
    since = time.monotonic()
    until(lambda: time.monotonic() > since + 4.5)  # longer than its timeout
    assert (job.refresh().status, state_of(pid)) == ("running", psutil.STATUS_STOPPED)
    before = counted(site, "paused")
    job.resume()
    until(lambda: counted(site, "paused") > before)
    site.open_gate("paused")
    job.wait(30)
    assert (job.status, job.error_message) == ("completed", None)


def test_a_paused_job_can_be_cancelled(site: LimitsSite) -> None:
    job = site.dispatch("count", {"gate": "held"})
    counted(site, "held")
    pid = site.row(job.id).pid
    job.pause()
    until(lambda: state_of(pid) == psutil.STATUS_STOPPED)
    answer = site.flask("resume", str(job.id))
    assert (answer.returncode, answer.stdout) == (0, f"Job {job.id} goes on\n")
    until(lambda: state_of(pid) != psutil.STATUS_STOPPED)
    assert site.flask("pause", str(job.id)).stdout == f"Job {job.id} is paused\n"
    until(lambda: state_of(pid) == psutil.STATUS_STOPPED)
    assert " on the command line" in site.row(job.id).paused_by
    job.cancel()
    assert job.wait(30).status == "cancelled"
    until(lambda: not is_alive(pid))


def test_a_paused_job_survives_its_supervisor_and_goes_on_under_the_next(tmp_path: Path) -> None:
    with limits_site(tmp_path, idle_timeout=60) as site:
        job = site.dispatch("count", {"gate": "orphan"}, timeout=60)
        counted(site, "orphan")
        pid = site.row(job.id).pid
        job.pause()
        until(lambda: state_of(pid) == psutil.STATUS_STOPPED)
        site.kill_supervisor()
        job.resume()
        until(lambda: state_of(pid) != psutil.STATUS_STOPPED)
        site.open_gate("orphan")
        assert job.wait(30).status == "completed"
        assert len(site.rows(lookups.attempts, job.id)) == 1


def test_a_paused_queue_starts_nothing_until_it_goes_on_and_others_do(site: LimitsSite) -> None:
    assert site.flask("pause-queue", "mail").stdout == "Queue mail is paused\n"
    held = site.dispatch("nothing", queue="mail", priority=-5)
    assert site.dispatch("nothing").wait(30).status == "completed"
    assert held.refresh().status == "pending"
    assert "paused queues: mail" in site.flask("status").stdout
    assert "paused queues: mail" in site.flask("status").stdout
    assert site.flask("resume-queue", "mail").stdout == "Queue mail goes on\n"
    assert held.wait(30).status == "completed"
    refused = site.flask("resume-queue", "mail")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_a_supervisor_does_not_run_in_circles_over_a_paused_queue(tmp_path: Path) -> None:
    with limits_site(tmp_path, idle_timeout=60) as site:
        site.dispatch("nothing").wait(30)
        pausing.pause_queue(site.state.store, "mail")
        for _ in range(20):
            site.dispatch("nothing", queue="mail")
        status = supervisor_status(site.state.folder)
        assert status is not None
        supervisor = psutil.Process(status.pid)
        begin, before = time.monotonic(), sum(supervisor.cpu_times()[:2])
        until(lambda: time.monotonic() > begin + 3)
        assert sum(supervisor.cpu_times()[:2]) - before < 1.0


# -- samples ---------------------------------------------------------------------------------------------


def test_what_a_job_used_is_kept_for_a_picture_and_a_short_job_leaves_nothing(site: LimitsSite) -> None:
    short = site.dispatch("nothing").wait(30)
    job = site.dispatch("spin", {"seconds": 4}).wait(30)
    assert job.status == "completed"
    with site.state.store.database.reading() as connection:
        assert samples.of_job(connection, short.id) == []
        points = samples.of_job(connection, job.id)
    assert 2 <= len(points) <= 5
    assert points[0].cpu is None
    assert max(point.cpu for point in points[1:]) > 10
    assert all(point.rss > 2**20 and point.threads >= 3 and point.children == 1 for point in points[:-1])
    moments = [point.at for point in points]
    assert all(0.5 < (later - earlier).total_seconds() < 3 for earlier, later in pairwise(moments))


# -- retention -------------------------------------------------------------------------------------------


def test_the_supervisor_removes_what_is_too_much_and_the_command_the_rest(tmp_path: Path) -> None:
    with limits_site(tmp_path, idle_timeout=60, retention_count=3) as site:
        ids = [site.dispatch("print_much", {"lines": 2}).wait(30).id for _ in range(8)]
        output = Path(site.state.folder.output)

        def kept() -> list[int]:
            with site.state.store.database.reading() as connection:
                return lookups.existing(connection, ids)

        until(lambda: kept() == ids[-3:])
        # The files go after the commit.
        until(lambda: {path.name for path in output.iterdir()} == {f"{number}-1.log" for number in ids[-3:]})
        os.environ["FLASK_BGJOBS_RETENTION_COMPLETED"] = "0"
        try:
            counted_only, done = (
                json.loads(site.flask("prune", "--json", *way).stdout) for way in (["--dry-run"], [])
            )
            said = site.flask("prune").stdout
        finally:
            del os.environ["FLASK_BGJOBS_RETENTION_COMPLETED"]
        assert {**done, "dry_run": True} == counted_only
        assert done["jobs"] == {"completed": 3, "failed": 0, "cancelled": 0}
        assert done["files"] == 3
        assert said.startswith("Removed 0 jobs (0 completed, 0 failed, 0 cancelled), with 0 log records")
        assert kept() == []
        assert list(output.iterdir()) == []
