"""Somebody writes to our tables (S4, F26, S16): nothing of it is run, and nobody is signalled because of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from real_site import RealSite
from waiting import until

from bgjobs.processes.identity import boot_id, host_name, pid_namespace, start_time

EDITS = {
    "another class": "class_name = 'os.system'",
    "a class that is not approved": "class_name = 'subprocess.Popen'",
    "a module of the application": "class_name = 'antigravity.fly'",
    "no class": "class_name = ''",
    "a private method": "method_name = '__init__'",
    "no such method": "method_name = 'drop_tables'",
    "parameters that are not JSON": "parameters = '{'",
    "a pickle": "parameters = x'80049503000000000000004b012e'",
    "huge parameters": f"""parameters = '{json.dumps({"words": "x" * 200_000})}'""",
    "deep parameters": f"parameters = '{'[' * 50_000}'",
    "a negative retry": "retry_count = -1",
    "more retries than there are": "retry_count = 9, max_retries = 3",
    "retries without end": "max_retries = 1000000000",
    "a text for a number": "retry_count = 'many'",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edited_row_fails_with_a_reason_and_runs_nothing(site: RealSite, edit: str) -> None:
    job = site.dispatch("Plain.say", {"words": "x"}, delay=3600)
    site.query(f"UPDATE background_jobs SET {edit}, scheduled_at = '2001-01-01 00:00:00' WHERE id = ?", job.id)
    before = site.until_supervised_after(site.dispatch("Plain.nothing"))
    until(lambda: status_of(site, job.id) not in ("pending", "running"))
    assert status_of(site, job.id) == "failed"
    ((error,),) = site.query("SELECT error_message FROM background_jobs WHERE id = ?", job.id)
    assert error
    assert not site.events(job.id)
    assert len(site.attempts(job.id)) == 1
    assert site.supervisor == before
    assert site.run("Plain.nothing").status == "completed"
    # The forged row would trouble the check after the test, which counts its retries.
    site.query("UPDATE background_jobs SET retry_count = 0, max_retries = 3 WHERE id = ?", job.id)


def test_parameters_that_no_longer_fit_fail_the_job_without_a_retry(site: RealSite) -> None:
    job = site.dispatch("Plain.say", {"words": "x"}, delay=3600, max_retries=1)
    edit = """parameters = '{"colour": 1}', scheduled_at = '2001-01-01'"""
    site.query(f"UPDATE background_jobs SET {edit} WHERE id = ?", job.id)
    (row,) = site.wait(job)
    assert (row.status, row.retry_count) == ("failed", 0)
    assert "do not fit" in row.error_message
    assert not site.events(job.id)


def status_of(site: RealSite, job_id: int) -> object:
    return site.query("SELECT status FROM background_jobs WHERE id = ?", job_id)[0][0]


def test_a_status_that_does_not_exist_is_left_alone(site: RealSite) -> None:
    job = site.dispatch("Plain.nothing", delay=3600)
    site.query("UPDATE background_jobs SET status = 'wonderful' WHERE id = ?", job.id)
    assert site.run("Plain.nothing").status == "completed"
    assert status_of(site, job.id) == "wonderful"
    site.query("UPDATE background_jobs SET status = 'cancelled' WHERE id = ?", job.id)


COUNTS_SIGNALS = """
import signal, sys, time
def count(number, frame):
    print(number, flush=True)
for number in (1, 2, 3, 10, 12, 15):
    signal.signal(number, count)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(params=["in our group", "leads a session"])
def stranger(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process that has nothing to do with us, and says which signals it got."""
    options = {"start_new_session": True} if request.param == "leads a session" else {}
    with subprocess.Popen(
        [sys.executable, "-S", "-c", COUNTS_SIGNALS], stdout=subprocess.PIPE, text=True, cwd="/", **options
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
            assert process.poll() is None, "it was killed"
            process.kill()
            assert process.stdout.read() == "", "it was signalled"
        finally:
            process.kill()


def forge(site: RealSite, pid: Any, started: str | None = None) -> int:
    """A row that says that its job runs in that process."""
    job = site.dispatch("Plain.nothing", delay=3600, max_retries=0)
    site.query(
        "UPDATE background_jobs SET status = 'running', execution_token = ?, backend = 'local', pid = ?,"
        " process_started = ?, boot_id = ?, host = ?, pid_namespace = ?, started_at = '2001-01-01 00:00:00',"
        " timeout = 0.1, attempt = 1 WHERE id = ?",
        f"forged{job.id}",
        pid,
        start_time(pid) if started is None else started,
        boot_id(),
        host_name(),
        pid_namespace(),
        job.id,
    )
    return job.id


def test_a_stranger_with_the_pid_of_a_job_is_not_signalled(
    site: RealSite, stranger: subprocess.Popen[str]
) -> None:
    """Its pid, and even its start time, stand in a row; the job is asked to stop, and its time is over."""
    forged = [forge(site, stranger.pid), forge(site, stranger.pid, "1"), forge(site, stranger.pid)]
    site.query("UPDATE background_jobs SET cancel_requested_at = '2001-01-01 00:00:00' WHERE id = ?", forged[2])
    assert site.run("Plain.nothing").status == "completed"
    until(lambda: not site.counts()["running"])
    assert [site.row(job).status for job in forged] == ["failed", "failed", "cancelled"]
    assert site.until_supervised()


def test_a_pid_that_no_job_can_have_is_not_signalled(site: RealSite) -> None:
    site.run("Plain.nothing")
    status = site.until_supervised()
    assert status.fork_server_pid is not None
    heard: list[int] = []
    before = {number: signal.signal(number, lambda n, frame: heard.append(n)) for number in (15, 2, 1)}
    try:
        real = [forge(site, pid) for pid in (os.getpid(), os.getppid(), status.pid, status.fork_server_pid)]
        forged = [*real, *(forge(site, pid, "1") for pid in (1, 0, -1, 2**31, "12; 1", None))]
        site.query("UPDATE background_jobs SET cancel_requested_at = '2001-01-01' WHERE status = 'running'")
        site.state.backend.wake()
        until(lambda: "running" not in [status_of(site, job) for job in forged])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert not heard
    assert site.run("Plain.nothing").status == "completed"
    assert site.until_supervised() == status
    site.query("UPDATE background_jobs SET pid = NULL WHERE execution_token LIKE 'forged%'")
