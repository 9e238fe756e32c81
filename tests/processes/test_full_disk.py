"""The disk is full, or nothing may be written to it (F14)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from host import fill, set_mode, small_disk
from real_site import MakeSite, RealSite
from waiting import monotonic, until

from bgjobs.exceptions import BackendUnavailable, JobRunnerException

# What is promised is 5 s and 5 % of a CPU. It takes about one second and one percent, and the machine may have
# other things to do; a supervisor that spins uses all it gets.
RESUMES_WITHIN = 15.0
SPINS_ABOVE = 0.1


@pytest.fixture
def disks() -> Iterator[ExitStack]:
    """Named before the site in the arguments of a test, so that the disks go after the processes."""
    with ExitStack() as stack:
        yield stack


def on_a_small_disk(disks: ExitStack, site: RealSite, place: Path | None = None) -> Path:
    """The database, and by default state folder and logs, on a disk of their own; what the witness needs stays
    outside."""
    disk = disks.enter_context(small_disk(place or site.folder / "instance", 2048))
    (site.folder / "app.db").rename(site.folder / "moved.db")
    (disk / "app.db").write_bytes((site.folder / "moved.db").read_bytes())
    (site.folder / "app.db").symlink_to(disk / "app.db")
    return disk


def test_work_resumes_when_there_is_space_again(disks: ExitStack, make_site: MakeSite) -> None:
    site = make_site()
    disk = on_a_small_disk(disks, site)
    held = site.dispatch("Plain.hold", {"gate": "on"})
    site.until_noted(held)
    supervisor = psutil.Process(site.until_supervised().pid)
    filler = fill(disk)
    stored = dispatch_until_refused(site)
    filled_at, used = monotonic(), cpu_seconds(supervisor)
    site.open_gate("on")
    until(lambda: monotonic() - filled_at >= 2)
    assert cpu_seconds(supervisor) - used < SPINS_ABOVE * (monotonic() - filled_at)
    assert sum(site.counts().values()) == 1 + len(stored)
    filler.unlink()
    freed_at = monotonic()
    rows = site.wait(held, *stored, site.dispatch("Plain.nothing"))
    assert monotonic() - freed_at <= RESUMES_WITHIN
    assert {(row.status, row.retry_count) for row in rows} == {("completed", 0)}
    assert site.until_supervised().pid == supervisor.pid


def test_a_log_that_cannot_be_written_fails_no_job(disks: ExitStack, make_site: MakeSite) -> None:
    site = make_site()
    fill(disks.enter_context(small_disk(site.folder / "instance" / "logs", 64)))
    rows = site.wait(*[site.dispatch("Plain.nothing") for _ in range(5)])
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    assert len(site.story(rows[0].id)) == 5
    with open(site.state.folder.log) as log:
        assert log.read().count("Jobs go on without it") == 1


def test_what_a_job_prints_on_a_full_disk_does_not_fail_it(disks: ExitStack, make_site: MakeSite) -> None:
    site = make_site()
    site.run("Plain.nothing")
    filler = fill(disks.enter_context(small_disk(Path(site.state.folder.output), 64)))
    row = site.run("Plain.print_in_python", {"kibibytes": 128})
    assert (row.status, row.attempt) == ("completed", 1)
    filler.unlink()
    assert site.run("Plain.print_in_python", {"kibibytes": 1}).status == "completed"
    assert len(site.output(row.id + 1)) >= 1024


def test_a_dispatch_to_a_disk_that_is_read_only_is_refused(disks: ExitStack, make_site: MakeSite) -> None:
    site = make_site()
    disk = on_a_small_disk(disks, site)
    set_mode(disk, "ro")
    with pytest.raises(JobRunnerException, match="Read-only"):
        site.dispatch("Plain.nothing")
    assert not site.processes()
    set_mode(disk, "rw")
    assert site.run("Plain.nothing").status == "completed"


def test_a_dispatch_to_a_database_that_is_read_only_is_refused(disks: ExitStack, make_site: MakeSite) -> None:
    """Its state folder is elsewhere, so it is the database that says no."""
    site = make_site()
    disk = on_a_small_disk(disks, site, site.folder / "data")
    set_mode(disk, "ro")
    with pytest.raises(BackendUnavailable):
        site.dispatch("Plain.nothing")
    assert not site.processes()
    set_mode(disk, "rw")
    assert site.run("Plain.nothing").status == "completed"


def test_a_supervisor_that_may_not_let_files_grow_goes_on_when_it_may(make_site: MakeSite) -> None:
    """As on a full disk, where none can be mounted: its limit is lowered from outside, and raised again."""
    site = make_site()
    site.run("Plain.nothing")
    supervisor = psutil.Process(site.until_supervised().pid)
    before = supervisor.rlimit(psutil.RLIMIT_FSIZE)
    supervisor.rlimit(psutil.RLIMIT_FSIZE, (4096, before[1]))
    jobs = [site.dispatch("Plain.nothing") for _ in range(3)]
    limited_at, used = monotonic(), cpu_seconds(supervisor)
    until(lambda: monotonic() - limited_at >= 2)
    assert cpu_seconds(supervisor) - used < SPINS_ABOVE * (monotonic() - limited_at)
    assert {(row.status, row.attempt) for row in map(site.row, [job.id for job in jobs])} == {("pending", 0)}
    supervisor.rlimit(psutil.RLIMIT_FSIZE, before)
    lifted_at = monotonic()
    rows = site.wait(*jobs)
    assert monotonic() - lifted_at <= RESUMES_WITHIN
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}


def dispatch_until_refused(site: RealSite) -> list:  # type: ignore[type-arg]
    """The jobs that found room in what the files had taken already."""
    stored = []
    with pytest.raises(BackendUnavailable):
        for _ in range(10_000):
            stored.append(site.dispatch("Plain.nothing"))
    return stored


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
