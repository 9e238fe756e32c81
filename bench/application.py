"""The application that the benchmarks load: as small as one can be, with a database in a folder of its own."""

from __future__ import annotations

import os

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from bench import jobs as benchmark
from bgjobs import BackgroundJobs

db = SQLAlchemy()
jobs = BackgroundJobs()


@jobs.approve
class Bench:
    """The jobs that are measured."""

    def nothing(self, number: int) -> None:
        benchmark.nothing(number)

    def work(self, number: int) -> None:
        benchmark.work(number)

    def rest(self, number: int) -> None:
        benchmark.rest()


def create_app() -> Flask:
    folder = os.environ["BENCH_FOLDER"]
    app = Flask(__name__, instance_path=folder)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder}/bench.db"
    app.config.from_prefixed_env()  # FLASK_BGJOBS_…
    db.init_app(app)
    jobs.init_app(app, db)
    return app
