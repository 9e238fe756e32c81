"""The application that the benchmarks load: as small as one can be, with a database in a folder of its own."""

from __future__ import annotations

import os
import time

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from bgjobs import BackgroundJobs

db = SQLAlchemy()
jobs = BackgroundJobs()


@jobs.approve
class Bench:
    """The jobs that are measured."""

    def nothing(self) -> None:
        """Return at once."""

    def say_when(self, path: str) -> None:
        """Write down when the method began, on the clock of the caller."""
        moment = time.clock_gettime(time.CLOCK_MONOTONIC)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, f"{moment!r}\n".encode())
        os.close(descriptor)


def create_app() -> Flask:
    folder = os.environ["BENCH_FOLDER"]
    app = Flask(__name__, instance_path=folder)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder}/bench.db"
    app.config.from_prefixed_env()  # FLASK_BGJOBS_…
    db.init_app(app)
    jobs.init_app(app, db)
    return app
