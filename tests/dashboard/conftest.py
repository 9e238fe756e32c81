"""Applications with a dashboard for the tests: a database file of their own each, and no process is started."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from jinja2 import FileSystemBytecodeCache
from sites import Site

from bgjobs import BackgroundJobs


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Each application would compile the templates anew, which takes another tenth."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def make_site(
    tmp_path: Path, empty_database: Path, compiled_templates: FileSystemBytecodeCache
) -> Iterator[Callable[..., Site]]:
    """Makes applications. Jobs stay pending unless ``BGJOBS_BACKEND="inline"``."""
    made: list[Site] = []

    def make(**config: Any) -> Site:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        app = Flask("shop", instance_path=str(folder))
        app.config.update(
            SQLALCHEMY_DATABASE_URI="sqlite:///app.db",
            BGJOBS_AUTOSTART=False,
            BGJOBS_DASHBOARD_ACCESS="open",
        )
        app.config.update(config)
        shutil.copy(empty_database, folder / "app.db")
        app.jinja_env.bytecode_cache = compiled_templates
        db = SQLAlchemy(app)
        BackgroundJobs(app, db)
        made.append(Site(app))
        return made[-1]

    yield make
    for site in made:
        if "store" in vars(site.state):
            site.state.store.database.dispose()
        with site.app.app_context():
            site.state.db.engine.dispose()  # type: ignore[union-attr]


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
