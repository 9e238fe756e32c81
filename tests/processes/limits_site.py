"""An application for the tests of limits, and what a test does with it: real processes, in a folder of its own.

The other processes load this file by its name, so it is the application and the helper at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Row, Table, select

from bgjobs import BackgroundJobs, JobHandle, current_job, lookups, run_background_job
from bgjobs.app_state import AppState, app_state
from bgjobs.processes.identity import start_time
from bgjobs.supervisor.status import supervisor_status

FOLDER = "LIMITS_FOLDER"
PATIENCE = 30.0

db = SQLAlchemy()
jobs = BackgroundJobs()


@jobs.approve
class Load:
    """Jobs that meet their limits."""

    def nothing(self) -> None:
        pass

    def hold(self, gate: str) -> str:
        """Go on until somebody opens the gate."""
        _note(gate)
        path = Path(os.environ[FOLDER], f"{gate}.open")
        while not path.exists():
            time.sleep(0.01)
        return "open"

    def hold_deaf(self, gate: str) -> str:
        """The same, and SIGTERM is ignored."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return self.hold(gate)

    def count(self, gate: str) -> None:
        """Count up in a file until the gate is open."""
        path = Path(os.environ[FOLDER], f"{gate}.open")
        number = 0
        while not path.exists():
            number += 1
            # Whole, because the job may be held up between any two of its steps.
            written = Path(os.environ[FOLDER], f"{gate}.new")
            written.write_text(str(number))
            written.replace(Path(os.environ[FOLDER], f"{gate}.count"))
            time.sleep(0.005)

    def die(self, number: int, lines: int = 60) -> None:
        for line in range(lines):
            print(f"line {line}")
        current_job.progress(3, 10, "the third of ten")
        os.kill(os.getpid(), number)

    def eat(self, mebibytes: int, gate: str = "eaten") -> None:
        """Take memory, bit by bit, and hold it."""
        kept = []
        for _ in range(mebibytes):
            kept.append(bytearray(os.urandom(1)) * 2**20)
            time.sleep(0.001)
        self.hold(gate)

    def let_a_child_eat(self, mebibytes: int) -> None:
        code = f"kept = [bytearray(b'x') * 2**20 for _ in range({mebibytes})]; print(1, flush=True); input()"
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
            child.wait()

    def print_much(self, lines: int) -> None:
        for line in range(lines):
            print(f"line {line} {'x' * 80}")

    def niceness(self) -> int:
        return os.nice(0)

    def spin(self, seconds: float) -> None:
        """Use the CPU, with a child and a thread beside."""
        import threading

        done = threading.Event()
        threading.Thread(target=done.wait, daemon=True).start()
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                pass
            child.kill()
        done.set()


def _note(gate: str) -> None:
    with open(Path(os.environ[FOLDER], f"{gate}.started"), "a") as file:
        file.write(f"{os.getpid()}\n")


def create_app() -> Flask:
    folder = os.environ[FOLDER]
    app = Flask(__name__, instance_path=folder)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder}/app.db"
    app.config.from_prefixed_env()  # FLASK_BGJOBS_…
    db.init_app(app)
    jobs.init_app(app, db)
    return app


@dataclass
class LimitsSite:
    """The application, as a caller of its own has it."""

    app: Flask
    folder: Path

    @property
    def state(self) -> AppState:
        return app_state(self.app)

    def dispatch(self, method: str, parameters: Any = None, **options: Any) -> JobHandle:
        with self.app.app_context():
            return run_background_job(Load, method, parameters, **options)

    def row(self, job_id: int) -> Row[Any]:
        with self.state.store.database.reading() as connection:
            return lookups.job_row(connection, job_id)

    def rows(self, table: Table, job_id: int) -> list[Row[Any]]:
        """The rows of a table that belong to a job, the oldest first."""
        with self.state.store.database.reading() as connection:
            return list(
                connection.execute(select(table).where(table.c.background_job_id == job_id).order_by(table.c.id))
            )

    def story(self, job_id: int) -> list[str]:
        return [row.message for row in self.rows(lookups.logs, job_id)]

    def open_gate(self, gate: str) -> None:
        (self.folder / f"{gate}.open").touch()

    def pid_at(self, gate: str) -> int:
        """The pid of the job that holds at ``gate``, once it does."""
        path = self.folder / f"{gate}.started"
        return int(until(lambda: path.exists() and path.read_text().split())[-1])

    def flask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``flask bgjobs …``."""
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "limits_site:create_app", "bgjobs", *arguments],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def kill_supervisor(self) -> int:
        """SIGKILL to the supervisor, and wait until it is gone; its pid."""
        status = supervisor_status(self.state.folder)
        assert status is not None
        os.kill(status.pid, signal.SIGKILL)
        until(lambda: status.identity.judge() == "gone")
        return status.pid


def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until a condition is true and return what it was; fail when it does not become so in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.005)
    return value


def state_of(pid: int) -> str:
    """How the kernel calls the state of a process."""
    return psutil.Process(pid).status()


def is_alive(pid: int) -> bool:
    return start_time(pid) is not None


@contextmanager
def limits_site(folder: Path, **settings: Any) -> Iterator[LimitsSite]:
    """A site in ``folder``; at its end every process of it is gone."""
    names = {f"FLASK_BGJOBS_{name.upper()}": str(value) for name, value in settings.items()}
    before = {name: os.environ.get(name) for name in (FOLDER, *names)}
    os.environ.update({FOLDER: str(folder), **names})
    app = create_app()
    site = LimitsSite(app, folder)
    try:
        yield site
    finally:
        site.state.store.database.dispose()
        _end_all(folder)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _end_all(folder: Path) -> None:
    """Stop them all before the first is killed: whoever survives the supervisor starts another one."""
    stopped: set[psutil.Process] = set()

    def nobody_is_left_that_could_start_another() -> bool:
        found = set(_processes_of(folder))
        news = found - stopped
        for process in news:
            with contextlib.suppress(psutil.Error):
                process.suspend()
        stopped.update(news)
        return not news

    until(nobody_is_left_that_could_start_another)
    for process in stopped:
        with contextlib.suppress(psutil.Error):
            process.kill()
    until(lambda: not _processes_of(folder))


def _processes_of(folder: Path) -> list[psutil.Process]:
    """By where their output goes: a process that has given itself a title has overwritten its environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            outputs = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in (1, 2)]
            if process.pid != os.getpid() and any(output.startswith(f"{folder}/") for output in outputs):
                found.append(process)
    return found
