"""An application for the command line: ``flask --app "cli_site:create_app(FOLDER)"``."""

from __future__ import annotations

import os
import time
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from bgjobs import BackgroundJobs, current_job

db = SQLAlchemy()
jobs = BackgroundJobs()
WORK = "cli_site.Work"


@jobs.approve
class Work:
    def show(self, **parameters: Any) -> dict[str, Any]:
        return parameters

    def fail(self, password: str = "") -> None:
        raise ValueError("no such user")

    def draw(self) -> None:
        print("a\x1b[2Jb\rc")

    def behind_gate(self, gate: str) -> None:
        """Speak, wait for a file, and speak again."""
        print("ready ☕", flush=True)
        current_job.log("it waits")
        for _ in range(6000):
            if os.path.exists(gate):
                break
            time.sleep(0.01)
        print("gone through")


def create_app(folder: str, **settings: Any) -> Flask:
    app = Flask("shop", instance_path=folder)
    app.config.update(
        SQLALCHEMY_DATABASE_URI="sqlite:///app.db",
        BGJOBS_APP=f"cli_site:create_app({folder!r})",
        BGJOBS_KILL_GRACE=1,
        BGJOBS_IDLE_TIMEOUT=30,
        BGJOBS_PROCESSES=2,
    )
    app.config.update({f"BGJOBS_{key.upper()}": value for key, value in settings.items()})
    db.init_app(app)
    jobs.init_app(app, db)
    return app
