"""A real application in a folder of its own, with the processes that run its jobs."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
from census import exists, processes_of
from flask import Flask
from sqlalchemy import select, text
from testimony import Event, faults, read_events
from waiting import PATIENCE, until

from bgjobs import JobHandle, lookups, run_background_job
from bgjobs.app_state import AppState, app_state
from bgjobs.exceptions import JobWaitTimeout
from bgjobs.supervisor.status import SupervisorStatus, supervisor_status

_HERE = Path(__file__).parent
_HOUSE = _HERE.parents[1]
_numbers = itertools.count(1)


class RealSite:
    """An application in ``folder``. Nothing runs before the first dispatch."""

    def __init__(self, folder: Path, database: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.name = f"site_{os.getpid()}_{next(_numbers)}"
        self.expected_unfinished: set[int] = set()
        self.ran_on_two_hosts: set[int] = set()  # at a time; their tests judge these jobs
        self._checked_up_to = 0
        for name in ("locks", "gates", "instance"):
            (folder / name).mkdir()
        shutil.copytree(_HERE / "application", folder / self.name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(database, folder / "app.db")
        self.set(**settings)
        # The other processes load the application from where it was set up.
        sys.path.insert(0, str(folder))
        before = Path.cwd()
        os.chdir(folder)
        try:
            self.app: Flask = importlib.import_module(self.name).create_app()
        finally:
            os.chdir(before)

    # -- set up --------------------------------------------------------------------------------------

    def set(self, **settings: Any) -> None:
        """Settings of bgjobs by their names without prefix; others by their names as they are."""
        values = {key if key.isupper() else f"BGJOBS_{key.upper()}": value for key, value in settings.items()}
        (self.folder / "settings.json").write_text(json.dumps(values))

    @property
    def state(self) -> AppState:
        return app_state(self.app)

    def module(self, name: str) -> ModuleType:
        """A module of the application."""
        return importlib.import_module(f"{self.name}.{name}")

    def source(self, name: str) -> Path:
        """The file of a module of the application."""
        return self.folder / self.name / f"{name}.py"

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a source file as an editor does: the new file takes the place of the old one."""
        path = self.source(name)
        text = path.read_text()
        assert old in text
        path.with_suffix(".new").write_text(text.replace(old, new))
        path.with_suffix(".new").replace(path)

    # -- dispatch ------------------------------------------------------------------------------------

    def dispatch(self, what: str, parameters: Any = None, **options: Any) -> JobHandle:
        """Dispatch ``"Class.method"`` of the application."""
        class_name, _, method = what.rpartition(".")
        with self.app.app_context():
            return run_background_job(self.job_class(class_name), method, parameters, **options)

    def handle(self, job_id: int) -> JobHandle:
        """The handle of a job that somebody else dispatched."""
        row = self.row(job_id)
        return JobHandle(self.state, row.id, row.status, row.retry_count, row.error_message)

    def job_class(self, name: str) -> str:
        module = {"Plain": "jobs", "Crash": "crashes", "Family": "families", "Hooked": "hooks"}[name]
        return f"{self.name}.{module}.{name}"

    def python(self, code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Run ``code`` in an interpreter of its own; in it, ``site`` is the application's package."""
        return subprocess.Popen(
            [sys.executable, "-c", f"import sys, {self.name} as site\n{code}", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": f"{self.folder}{os.pathsep}{_HOUSE}", **options.pop("env", {})},
            text=True,
            **options,
        )

    # -- look ----------------------------------------------------------------------------------------

    def row(self, job_id: int) -> Any:
        with self.state.store.database.reading() as connection:
            return lookups.job_row(connection, job_id)

    def attempts(self, job_id: int) -> list[Any]:
        with self.state.store.database.reading() as connection:
            chosen = lookups.attempts.c.background_job_id == job_id
            return list(connection.execute(select(lookups.attempts).where(chosen).order_by(lookups.attempts.c.id)))

    def story(self, job_id: int) -> list[tuple[str, str]]:
        """Type and message of the job's records in ``job_logs``."""
        told = select(lookups.logs.c.type, lookups.logs.c.message).where(
            lookups.logs.c.background_job_id == job_id
        )
        with self.state.store.database.reading() as connection:
            return [(row.type, row.message) for row in connection.execute(told.order_by(lookups.logs.c.id))]

    def counts(self) -> dict[str, int]:
        with self.state.store.database.reading() as connection:
            return lookups.counts(connection)

    def query(self, sql: str, *values: Any) -> list[Any]:
        """Ask the SQLite file, or change it, behind the back of bgjobs."""
        with closing(self.stranger()) as connection:
            return connection.execute(sql, values).fetchall()

    def stranger(self) -> sqlite3.Connection:
        """A connection of somebody who knows nothing of bgjobs."""
        return sqlite3.connect(self.folder / "app.db", isolation_level=None, timeout=10)

    def events(self, job_id: int | None = None, what: str = "") -> list[Event]:
        """What the witness saw: of one job, of one kind, or all."""
        seen = read_events(self.folder / "witness")
        return [event for event in seen if job_id in (None, event.job) and event.what.startswith(what)]

    def output(self, job_id: int, attempt: int = 1) -> bytes:
        """What an attempt printed."""
        return Path(self.state.folder.output_file(job_id, attempt)).read_bytes()

    # -- wait ----------------------------------------------------------------------------------------

    def wait(self, *handles: JobHandle, seconds: float = PATIENCE) -> list[Any]:
        """Wait until the jobs have ended; their rows."""
        try:
            return [self.row(handle.wait(seconds).id) for handle in handles]
        except JobWaitTimeout as late:
            raise AssertionError(f"{late}\n{self.describe()}") from None

    def run(self, what: str, parameters: Any = None, *, seconds: float = PATIENCE, **options: Any) -> Any:
        """Dispatch a job and wait until it has ended; its row."""
        return self.wait(self.dispatch(what, parameters, **options), seconds=seconds)[0]

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE, *, what: str = "") -> Any:
        """Wait; and when it was in vain, tell how the site is."""
        return until(condition, seconds, what=what, explain=self.describe)

    def until_noted(self, job: JobHandle, what: str = "start", count: int = 1, seconds: float = PATIENCE) -> Event:
        """Wait until a job wrote such a line for the ``count``-th time; the last one."""
        seen = self.until(lambda: self.events(job.id, what)[count - 1 :], seconds, what=f"job {job} noted {what}")
        return seen[-1]  # type: ignore[no-any-return]

    def until_ended_badly(self, job: JobHandle, number: int = 1) -> Any:
        """Wait until an attempt of the job is on record as ended; it."""

        def ended() -> list[Any]:
            return [item for item in self.attempts(job.id) if item.number == number and item.ended_at is not None]

        return self.until(ended, what=f"attempt {number} of job {job} is on record")[0]

    def open_gate(self, *names: str) -> None:
        """Let the jobs go on that wait for it."""
        for name in names:
            (self.folder / "gates" / name).touch()

    # -- the processes -------------------------------------------------------------------------------

    @property
    def supervisor(self) -> SupervisorStatus | None:
        return supervisor_status(self.state.folder)

    def until_supervised(self, but_not: int | None = None) -> SupervisorStatus:
        """Wait until a supervisor (another one than ``but_not``) has described itself and loaded the app."""

        def described() -> SupervisorStatus | None:
            status = self.supervisor
            return status if status is not None and status.pid != but_not and status.fork_server_pid else None

        status = self.until(described, what="a supervisor with a fork server")
        assert status is not None
        return status

    def until_told(self, condition: Callable[[SupervisorStatus], bool]) -> SupervisorStatus:
        """Wait until the supervisor says of itself what the condition asks for."""

        def told() -> SupervisorStatus | None:
            status = self.supervisor
            return status if status is not None and condition(status) else None

        status = self.until(told, what="the supervisor says so")
        assert status is not None
        return status

    def until_supervised_after(self, job: JobHandle) -> SupervisorStatus:
        """Wait until a job has ended; the supervisor that is at work then."""
        self.wait(job)
        return self.until_supervised()

    def until_spares_are_ready(self, count: int) -> None:
        """Wait until so many processes wait for a job; by their title, they have no number yet."""

        def ready() -> bool:
            return sum(" ".join(item.cmdline()).strip() == "bgjobs: job" for item in self.processes()) >= count

        self.until(ready, what=f"{count} processes wait for a job")

    def processes(self) -> list[psutil.Process]:
        return processes_of(self.folder)

    def supervisors(self) -> list[int]:
        """The pids of the processes that hold the supervisor's lock: one at the most."""
        lock = Path(self.state.folder.lock)
        if not lock.exists():
            return []
        # Device and inode, as the kernel lists its locks (proc(5), /proc/locks).
        inode = f":{lock.stat().st_ino} "
        locks = Path("/proc/locks").read_text().splitlines()
        return [int(line.split()[4]) for line in locks if inode in line and "->" not in line]

    def describe(self) -> str:
        """How things are, for the reader of a failure: jobs, attempts, processes, and what was logged."""
        jobs = self._all(
            "SELECT id, method_name, status, attempt, retry_count, pid FROM background_jobs ORDER BY id"
        )
        attempts = self._all(
            "SELECT background_job_id, number, pid, outcome, exit_status FROM job_attempts ORDER BY id"
        )
        processes = [
            f"{item.pid} of {item.ppid()}, {item.status()}, since {time.time() - item.create_time():.1f} s, "
            f"{item.cpu_times().user:.2f} s of CPU: {' '.join(item.cmdline()).strip()[-80:]}"
            for item in self.processes()
            if item.is_running()
        ]
        log = Path(self.state.folder.log)
        return "\n".join(
            (
                f"jobs: {jobs[-20:]}",
                f"attempts: {attempts[-20:]}",
                f"status: {self.supervisor}",
                f"lock: {self.supervisors()}",
                *processes,
                log.read_text()[-4000:] if log.exists() else "no log",
            )
        )

    def _all(self, sql: str) -> list[Any]:
        with self.state.store.database.reading() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def kill(self, *pids: int) -> None:
        """kill -9."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def kill_everything(self) -> None:
        """kill -9 for all there are, and for those that the survivors of the first round start."""

        def killed() -> bool:
            left = self.processes()
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            return not left

        self.until(killed, what="everything is dead")

    def stop(self) -> None:
        """Stop the supervisor at once and wait until nothing of this site is left."""
        try:
            until(self._is_gone, what="nothing of the site is left")
        except AssertionError:
            left = [(item.pid, item.ppid(), item.cmdline()) for item in self.processes()]
            for pid, _, _ in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"still there: {left}") from None

    def _is_gone(self) -> bool:
        status = self.supervisor
        if status is not None:
            with suppress(ProcessLookupError):
                os.kill(status.pid, signal.SIGQUIT)
        return not self.processes()

    # -- judge ---------------------------------------------------------------------------------------

    def check(self) -> None:
        """What must be true of every job that has ended since the last call, whatever the test was about."""
        with self.state.store.database.reading() as connection:
            since = lookups.jobs.c.id > self._checked_up_to
            rows = [
                row
                for row in connection.execute(select(lookups.jobs).where(since))
                if row.id not in self.ran_on_two_hosts
            ]
            attempts = list(connection.execute(select(lookups.attempts)))
        unfinished = {row.id for row in rows if row.status in ("pending", "running")} - self.expected_unfinished
        events = [
            event
            for event in self.events()
            if event.job > self._checked_up_to and event.job not in self.ran_on_two_hosts
        ]
        found = list(faults(events, rows, [a for a in attempts if a.background_job_id > self._checked_up_to]))
        assert not found, "\n".join(found)
        assert not unfinished, f"these jobs neither ended nor failed: {unfinished}"
        self._checked_up_to = max((row.id for row in rows), default=self._checked_up_to)

    def check_anew(self) -> None:
        """Judge all jobs at the next call: the database is another one than it was."""
        self._checked_up_to = 0

    def still_running(self) -> list[Any]:
        """The jobs that are on record as running."""
        return self._all("SELECT id FROM background_jobs WHERE status = 'running'")

    def close(self) -> None:
        """Leave nothing of the application in this process."""
        self.state.store.database.dispose()
        with self.app.app_context():
            self.state.db.engine.dispose()  # type: ignore[union-attr]
        sys.path.remove(str(self.folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == self.name]:
            del sys.modules[name]


def died_within(pids: Iterable[int], seconds: float) -> bool:
    """Wait until none of the processes lives."""
    watched = list(pids)
    return bool(until(lambda: not any(map(exists, watched)), seconds, what=f"{watched} are gone"))


def moment_of(value: datetime) -> float:
    """A time of a row on the monotonic clock, to be compared with the witness."""
    return value.timestamp() - time.time() + time.clock_gettime(time.CLOCK_MONOTONIC)


MakeSite = Callable[..., RealSite]
Jobs = Sequence[JobHandle]
