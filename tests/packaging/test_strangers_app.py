"""The dashboard in an application that knows nothing of this clone: its own base class, folder and prefix."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import psutil
import pytest
from installed import clean_environment

# Mounted twice: at the root, and under a prefix as behind a proxy that passes on SCRIPT_NAME.
STRANGER = """
import os
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from bgjobs import BackgroundJobs, run_background_job

class Base(DeclarativeBase):
    pass

db = SQLAlchemy(model_class=Base)
jobs = BackgroundJobs()

class Order(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)

@jobs.approve
class Invoice:
    def send(self, params):
        print("sent to", params["to"])
        return {"pid": os.getpid(), "orders": db.session.query(Order).count()}

def create_app():
    app = Flask("stranger", instance_path=os.path.join(os.getcwd(), "var"))
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///orders.db"
    app.config["BGJOBS_DASHBOARD_ACCESS"] = "open"
    db.init_app(app)
    jobs.init_app(app, db)
    with app.app_context():
        db.create_all()

    @app.post("/orders")
    def order():
        db.session.add(Order())
        job = run_background_job(Invoice, "send", {"to": "ada"}, session=db.session)
        db.session.commit()
        return {"job": job.id, "pid": os.getpid()}

    @app.get("/jobs/<int:number>")
    def job(number):
        from bgjobs import BackgroundJob
        job = db.session.get(BackgroundJob, number)
        return {"status": job.status, "result": job.result, "error": job.error_message}

    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/shop": app.wsgi_app})
    return app
"""


class Stranger:
    """The application, served by what is in the environment."""

    def __init__(self, python: Path, folder: Path, until: Callable[..., Any]) -> None:
        (folder / "stranger.py").write_text(STRANGER)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self._python = python
        self._until = until
        with open(folder / "output", "wb") as output:
            self._server = subprocess.Popen(
                [python, "-m", "flask", "--app", "stranger", "run", "--port", str(port)],
                cwd=folder,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        until(self._answers, 60)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(urljoin(self.url, path), timeout=30) as answer:
            return str(answer.read().decode())

    def post(self, path: str) -> Any:
        request = urllib.request.Request(self.url + path, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._python, "-m", "flask", "--app", "stranger", *arguments],
            cwd=self.folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def end(self) -> None:
        self._server.terminate()
        self._server.wait(30)
        self.command("bgjobs", "stop")
        self._until(lambda: not self._family(), 30)

    def _answers(self) -> bool:
        assert self._server.poll() is None, (self.folder / "output").read_text()
        with suppress(urllib.error.URLError, ConnectionError):
            return bool(self.get("/dashboard"))
        return False

    def _family(self) -> list[int]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cwd() == str(self.folder):
                    found.append(process.pid)
        return found


@pytest.fixture(scope="module")
def stranger(
    python: Path, tmp_path_factory: pytest.TempPathFactory, until: Callable[..., Any]
) -> Iterator[Stranger]:
    stranger = Stranger(python, tmp_path_factory.mktemp("stranger"), until)
    yield stranger
    stranger.end()


@pytest.mark.parametrize("prefix", ["", "/shop"])
def test_the_dashboard_shows_a_job_that_was_dispatched(
    stranger: Stranger, prefix: str, until: Callable[..., Any]
) -> None:
    dispatched = stranger.post(f"{prefix}/orders")
    number = dispatched["job"]
    until(lambda: stranger_job(stranger, prefix, number)["status"] not in ("pending", "running"), 60)
    job = stranger_job(stranger, prefix, number)
    assert (job["status"], job["error"]) == ("completed", None)
    assert job["result"]["pid"] != dispatched["pid"]
    assert job["result"]["orders"] >= 1

    page = stranger.get(f"{prefix}/dashboard")
    assert "Background job completed processing" in page
    assert f'href="{prefix}/dashboard/jobs/{number}' in page
    addresses = re.findall(r'(?:href|src|action|hx-get|hx-post)="(/[^"#]*)"', page)
    assert addresses
    for address in {unescape(address) for address in addresses}:
        assert address.startswith(f"{prefix}/")
        assert stranger.get(address)
    for name in ("bgjobs.css", "bgjobs.js", "htmx-4.0.1.min.js"):
        assert any(name in address for address in addresses)
    of_job = stranger.get(f"{prefix}/dashboard/jobs/{number}")
    assert "stranger.Invoice" in of_job
    assert "sent to ada" in of_job


def stranger_job(stranger: Stranger, prefix: str, number: int) -> dict[str, Any]:
    return dict(json.loads(stranger.get(f"{prefix}/jobs/{number}")))


def test_everything_lies_in_the_strangers_own_folder(stranger: Stranger) -> None:
    stranger.post("/orders")
    assert {path.name for path in (stranger.folder / "var").iterdir()} >= {"orders.db", "logs", "bgjobs"}


def test_the_commands_are_there(stranger: Stranger) -> None:
    checks = json.loads(stranger.command("bgjobs", "doctor", "--json").stdout)
    assert {check["check"]: check["ok"] for check in checks} == dict.fromkeys(
        [check["check"] for check in checks], True
    )
    upgraded = stranger.command("bgjobs", "upgrade")
    assert (upgraded.returncode, upgraded.stdout) == (0, "The tables are at revision 0001.\n")
