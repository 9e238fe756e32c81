"""Processes, descriptors or memory run short (F24, F5): jobs wait or are tried again, and the others go on."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from host import control_group
from real_site import MakeSite, RealSite
from waiting import monotonic, until

# What is promised is 2 s after a short want: the first pause before the next try is one second, and the machine
# may have other things to do.
RECOVERS_WITHIN = 20.0
SHORT_FOR = 0.8


@contextmanager
def few_descriptors(pid: int, count: int) -> Iterator[None]:
    """Let a process open only so many descriptors more than it has."""
    process = psutil.Process(pid)
    before = process.rlimit(psutil.RLIMIT_NOFILE)
    used = set(map(int, os.listdir(f"/proc/{pid}/fd")))
    unused = (number for number in itertools.count() if number not in used)
    process.rlimit(psutil.RLIMIT_NOFILE, (next(itertools.islice(unused, count, None)), before[1]))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_NOFILE, before)


def jobs_that_wait(site: RealSite, count: int) -> list:  # type: ignore[type-arg]
    """More jobs than there are processes; those that find none wait, and no attempt is used up."""
    jobs = [site.dispatch("Plain.nothing") for _ in range(count)]
    dispatched_at = monotonic()
    until(lambda: monotonic() - dispatched_at >= SHORT_FOR)
    rows = [site.row(job.id) for job in jobs]
    waiting = [row for row in rows if row.status == "pending"]
    assert waiting
    assert {(row.attempt, row.retry_count) for row in waiting} == {(0, 0)}
    return jobs


def all_run_once(site: RealSite, jobs: list, since: float) -> None:  # type: ignore[type-arg]
    rows = site.wait(*jobs)
    assert monotonic() - since <= RECOVERS_WITHIN
    assert "Traceback" not in Path(site.state.folder.log).read_text()
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}


def test_jobs_wait_while_no_process_can_be_started(make_site: MakeSite) -> None:
    site = make_site()
    site.run("Plain.nothing")
    status = site.until_supervised()
    site.until_spares_are_ready(2)
    with control_group("pids", pids_max=0) as group:
        (group / "cgroup.procs").write_text(str(status.fork_server_pid))
        jobs = jobs_that_wait(site, 20)
        assert "No process could be started" in Path(site.state.folder.log).read_text()
        (group / "pids.max").write_text("max")
        all_run_once(site, jobs, monotonic())
        assert site.until_supervised() == status
        site.stop()


def test_jobs_wait_while_the_supervisor_has_no_descriptors(make_site: MakeSite) -> None:
    site = make_site()
    site.run("Plain.nothing")
    status = site.until_supervised()
    site.until_spares_are_ready(2)
    with few_descriptors(status.pid, 0):
        jobs = jobs_that_wait(site, 20)
    all_run_once(site, jobs, monotonic())
    assert site.until_supervised().pid == status.pid


def test_a_process_that_could_not_be_started_takes_nobodys_place(make_site: MakeSite) -> None:
    """A process takes two descriptors, so of several that are started together the second finds none."""
    site = make_site()
    site.run("Plain.nothing")
    status = site.until_supervised()
    site.until_spares_are_ready(2)
    for _ in range(2):
        with few_descriptors(status.pid, 3):
            site.wait(*[site.dispatch("Plain.nothing") for _ in range(10)])
    held = [site.dispatch("Plain.hold", {"gate": "on"}) for _ in range(4)]
    for job in held:
        site.until_noted(job)
    site.until_spares_are_ready(2)
    site.open_gate("on")
    all_run_once(site, held, monotonic())
    assert site.until_supervised().pid == status.pid


def test_jobs_wait_while_the_fork_server_has_no_descriptors(make_site: MakeSite) -> None:
    site = make_site()
    site.run("Plain.nothing")
    status = site.until_supervised()
    site.until_spares_are_ready(2)
    assert status.fork_server_pid is not None
    with few_descriptors(status.fork_server_pid, 0):
        jobs = jobs_that_wait(site, 20)
    all_run_once(site, jobs, monotonic())
    assert site.until_supervised().pid == status.pid


def test_a_job_without_memory_is_tried_again_and_the_others_go_on(make_site: MakeSite) -> None:
    site = make_site()
    others, pid = three_others(site)
    row = site.run("Crash.by_too_little_memory")
    assert (row.status, row.retry_count) == ("completed", 1)
    first, _ = site.attempts(row.id)
    assert (first.outcome, first.exception_type) == ("failed", "MemoryError")
    all_went_on(site, others, pid)


def test_a_job_that_the_kernel_kills_for_its_memory_is_tried_again_and_the_others_go_on(
    make_site: MakeSite,
) -> None:
    site = make_site()
    others, pid = three_others(site)
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    limit = {"memory_max": 2**27} if unified else {"memory_limit_in_bytes": 2**27}
    with control_group("memory", **limit) as group:
        row = site.run("Crash.by_memory_of_a_group", {"group": str(group)})
    assert (row.status, row.retry_count) == ("completed", 1)
    first, _ = site.attempts(row.id)
    assert (first.outcome, first.exit_status) == ("lost", -9)
    assert "SIGKILL" in first.exception_message
    all_went_on(site, others, pid)


def three_others(site: RealSite) -> tuple[list, int]:  # type: ignore[type-arg]
    """Jobs that run meanwhile, and the pid of the supervisor."""
    others = [site.dispatch("Plain.hold", {"gate": "on"}) for _ in range(3)]
    for job in others:
        site.until_noted(job)
    return others, site.until_supervised().pid


def all_went_on(site: RealSite, others: list, pid: int) -> None:  # type: ignore[type-arg]
    site.open_gate("on")
    rows = site.wait(*others)
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    assert site.until_supervised().pid == pid
