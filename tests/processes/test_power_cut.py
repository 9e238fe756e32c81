"""The power goes (F11): what is left is what was on the disk at that instant, and every pid means somebody else.

All processes are held up while the files are copied, so the copy is one instant of the disk. It is cut at several
places: the disk may not have written the newest pages yet, nor all of one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from real_site import MakeSite, RealSite
from waiting import monotonic

from bgjobs import JobHandle
from bgjobs.processes import identity

# The log of SQLite, 4.1 and 4.2 of sqlite.org/fileformat2.html.
WAL_HEADER, FRAME = 32, 24 + 4096
# What is promised is 2 s. It takes about 0.2 s.
REQUEUED_WITHIN = 20.0


@dataclass(frozen=True)
class Instant:
    """The files of a database as they were at one moment."""

    database: bytes
    log: bytes

    @property
    def frames(self) -> int:
        return (len(self.log) - WAL_HEADER) // FRAME

    def up_to(self, frames: int, more: int = 0) -> Instant:
        """With so many frames of the log, and some bytes of the next one."""
        return Instant(self.database, self.log[: WAL_HEADER + frames * FRAME + more])

    def write(self, file: Path) -> None:
        """The shared memory of the log is not there after a power cut: it is made anew."""
        file.write_bytes(self.database)
        file.with_name(f"{file.name}-wal").write_bytes(self.log)
        file.with_name(f"{file.name}-shm").unlink(missing_ok=True)


def test_nothing_that_was_committed_is_lost(make_warm_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_warm_site(processes=3)
    stored_up_to = dispatch_many(site)
    taken = instant_of(site)
    assert taken.frames < 1000, "SQLite has begun the log anew, so its length tells nothing of what is in it"
    most = taken.frames
    cuts = [(most, 0), (most - 1, 0), (most - 1, FRAME // 2), (most // 2, 0), (most // 2, 100), (most // 4, 0)]
    for boot, (frames, more) in enumerate(cuts):
        site.kill_everything()
        forget(site)
        left = taken.up_to(frames, more)
        left.write(site.folder / "app.db")
        monkeypatch.setattr(identity, "boot_id", lambda boot=boot: f"boot-{boot}")
        assert site.query("PRAGMA integrity_check") == [("ok",)]
        kept = {job for job, size in stored_up_to.items() if size <= len(left.log)}
        in_file = {job for (job,) in site.query("SELECT id FROM background_jobs")}
        assert kept <= in_file
        was_running = lend_our_pid(site)
        if frames == most:
            assert (len(was_running), kept) == (3, stored_up_to.keys())
        started_at = monotonic()
        newest = site.dispatch("Plain.nothing")
        site.until(partial(none_is_running, site, was_running), what="those of the old boot are put back")
        assert monotonic() - started_at <= REQUEUED_WITHIN
        site.open_gate("on")
        rows = site.wait(newest, *map(site.handle, sorted(in_file)))
        assert {row.status for row in rows} == {"completed"}
        assert {row.retry_count for row in rows if row.id in was_running} <= {1}
        site.check()
    site.stop()  # as long as this boot is the one in which its processes were started


def dispatch_many(site: RealSite) -> dict[int, int]:
    """Jobs that ended, run, and wait; for each the length of the log when its dispatch returned."""
    site.run("Plain.nothing")  # from now on the supervisor keeps the log open, so that it is not begun anew
    log = site.folder / "app.db-wal"
    stored = {}

    def dispatch(what: str, parameters: Any = None) -> JobHandle:
        job = site.dispatch(what, parameters)
        stored[job.id] = log.stat().st_size
        return job

    site.wait(*[dispatch("Plain.nothing") for _ in range(5)])
    for job in [dispatch("Plain.hold", {"gate": "on"}) for _ in range(3)]:
        site.until_noted(job)
    for _ in range(8):
        dispatch("Plain.nothing")
    return stored


def instant_of(site: RealSite) -> Instant:
    """Copy the files while nobody can write to them."""
    held_up: set[psutil.Process] = set()
    while news := set(site.processes()) - held_up:
        for process in news:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        held_up |= news
    file = site.folder / "app.db"
    return Instant(file.read_bytes(), file.with_name("app.db-wal").read_bytes())


def forget(site: RealSite) -> None:
    """What this process and the witness know of the time before."""
    site.state.store.database.dispose()
    (site.folder / "witness").unlink(missing_ok=True)
    (site.folder / "gates" / "on").unlink(missing_ok=True)
    site.check_anew()


def lend_our_pid(site: RealSite) -> set[int]:
    """Let the pids of the jobs that ran mean a process that lives: this one. The jobs."""
    site.query(
        "UPDATE background_jobs SET pid = ?, process_started = ? WHERE status = 'running'",
        os.getpid(),
        identity.start_time(os.getpid()),
    )
    return {job for (job,) in site.query("SELECT id FROM background_jobs WHERE status = 'running'")}


def none_is_running(site: RealSite, jobs: set[int]) -> bool:
    """Whether none of the jobs is still on record as running in our own process."""
    found = site.query("SELECT id FROM background_jobs WHERE status = 'running' AND pid = ?", os.getpid())
    return not any(job in jobs for (job,) in found)
