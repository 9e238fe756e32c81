"""Applications in a folder of their own, each behind a real server on a free port of the loopback interface."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from ports import free_port

Until = Callable[..., Any]

PKG = """
import os, time
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from bgjobs import BackgroundJobs, role, run_background_job

db = SQLAlchemy()
jobs = BackgroundJobs()

@jobs.approve
class Report:
    def write(self, title):
        return {"title": title, "pid": os.getpid(), "role": role()}

def create_app(config=None):
    config = {"SQLALCHEMY_DATABASE_URI": "sqlite:///app.db", "BGJOBS_DASHBOARD_ACCESS": "open", **(config or {})}
    app = Flask(config.pop("NAME", __name__), instance_path=os.path.dirname(os.path.abspath(__file__)))
    app.config.update(config)
    db.init_app(app)
    jobs.init_app(app, db)

    @app.post("/dispatch")
    def dispatch():
        job = run_background_job(Report, "write", {"title": "sales"})
        return {"job": job.id, "pid": os.getpid()}

    @app.post("/doctor")
    def doctor():
        return app.test_cli_runner().invoke(args=["bgjobs", "doctor", "--json"]).output

    return app
"""
WITH_APP = PKG + "\napp = create_app()\n"


# An application that serves itself: by a variable that can be seen, and by a function where nothing is seen.
SCRIPT = (
    PKG
    + """
if __name__ == "__main__":
    import sys
    app = create_app()
    app.run(port=int(sys.argv[1]))
"""
)
HIDDEN = """
import sys
import pkg

def serve():
    pkg.create_app({config}).run(port=int(sys.argv[1]))

serve()
"""


@dataclass(eq=False)
class Served:
    """A server that was started, and what became of its jobs."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    dispatched: dict[str, Any] = field(default_factory=dict)

    def family(self) -> list[psutil.Process]:
        """Every living process that came of this server: its workers, the supervisor, the jobs. All of them
        stay in the folder where the server was started; what they inherit besides, gunicorn writes over."""
        return [process for process in psutil.process_iter() if _folder_of(process) == str(self.folder)]

    def get(self, path: str) -> str:
        return self._ask(path, "GET")

    def post(self, path: str) -> Any:
        return json.loads(self._ask(path, "POST"))

    def dispatch(self, until: Until) -> dict[str, Any]:
        """Ask the application for a job, as soon as it answers."""

        def asked() -> dict[str, Any] | None:
            assert self.process.poll() is None, self.output()
            with suppress(ConnectionError, urllib.error.URLError):
                return dict(self.post("/dispatch"))
            return None

        self.dispatched = until(asked, 60)
        return self.dispatched

    def job(self) -> dict[str, Any]:
        """The row of the job that was dispatched."""
        with closing(sqlite3.connect(self.folder / "app.db")) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute("SELECT * FROM background_jobs WHERE id = ?", [self.dispatched["job"]])
            return dict(found.fetchone())

    def status(self) -> dict[str, Any]:
        """What the supervisor tells of itself; nothing before it has."""
        for file in self.folder.glob("bgjobs/*/status.json"):
            with suppress(FileNotFoundError):
                return dict(json.loads(file.read_text()))
        return {}

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def stop_supervisor(self, until: Until) -> None:
        pid = self.status().get("pid")
        if pid is not None and any(process.pid == pid for process in self.family()):
            psutil.Process(pid).terminate()
            until(lambda: not self.status(), 30)

    def stop_server(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def leave_nothing(self) -> None:
        """Whatever a failed test left; a test that passed left nothing."""
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(30)

    def _ask(self, path: str, method: str) -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(answer.read().decode())


@contextmanager
def served(
    folder: Path,
    files: Mapping[str, str],
    command: Sequence[str],
    environment: Mapping[str, str],
    empty_database: Path,
) -> Iterator[Served]:
    """A server started by ``command`` in ``folder``. ``{port}`` in it stands for a free port."""
    for name, text in files.items():
        (folder / name).write_text(text)
    if not (folder / "app.db").exists():
        shutil.copy(empty_database, folder / "app.db")
    port = free_port()
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("FLASK_", "BGJOBS_", "PYTEST_"))
    }
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(
            [sys.executable, *(part.format(port=port) for part in command)],
            cwd=folder,
            env={**kept, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Served(folder, port, process)
    try:
        yield server
    finally:
        server.leave_nothing()


def _folder_of(process: psutil.Process) -> str | None:
    try:
        return process.cwd()
    except psutil.Error:
        return None
