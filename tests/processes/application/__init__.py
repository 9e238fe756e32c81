"""An application as its users write them: copied for each site of the tests and imported by all its processes.

What a test wants to be different stands in ``settings.json`` beside the package, so that every process that
loads the application finds it; what is different on one of several hosts, in the environment.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from flask import Flask
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy

from bgjobs import BackgroundJobs, run_background_job

FOLDER = Path(__file__).resolve().parent.parent

db = SQLAlchemy()
background = BackgroundJobs()


class Order(db.Model):  # type: ignore[name-defined, misc]
    """Something that belongs to the application."""

    id = db.Column(db.Integer, primary_key=True)
    what = db.Column(db.String(100))


from . import crashes, families, hooks, jobs  # noqa: E402, F401 - they need what stands above


def create_app() -> Flask:
    app = Flask(__name__, instance_path=str(FOLDER / "instance"))
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{FOLDER / 'app.db'}"
    app.config.update(json.loads((FOLDER / "settings.json").read_text()))
    app.config.update(json.loads(os.environ.get("SETTINGS_OF_THE_HOST", "{}")))
    db.init_app(app)
    background.init_app(app, db)
    app.add_url_rule("/dispatch", view_func=dispatch, methods=["POST"])
    return app


def dispatch() -> ResponseReturnValue:
    return str(run_background_job(jobs.Plain, "nothing"))
