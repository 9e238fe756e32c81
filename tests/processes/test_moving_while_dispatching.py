"""An application goes from SQLite to a server by its settings, while jobs are dispatched: each runs once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from databases import SERVERS, empty
from flask import Flask
from real_site import MakeSite, RealSite
from sqlalchemy.engine import URL

from bgjobs import JobHandle, run_background_job
from bgjobs.app_state import app_state
from bgjobs.database import Database


class Dispatcher(threading.Thread):
    """Dispatches a job every few milliseconds, through whatever application the site has by then."""

    def __init__(self, site: RealSite) -> None:
        super().__init__(daemon=True)
        self.app = site.app
        self.jobs: list[JobHandle] = []
        self._class = site.job_class("Plain")
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.wait(0.02):
            with self.app.app_context():
                self.jobs.append(run_background_job(self._class, "nothing"))

    def stop(self) -> None:
        self._enough.set()
        self.join()


@pytest.mark.parametrize("server", SERVERS)
def test_by_settings_alone(make_site: MakeSite, servers: Callable[[str, str], URL], server: str) -> None:
    site = make_site(processes=2)
    database = Database(servers(server, "switch"))
    empty(database)  # it may be tried again
    database.dispose()
    old, url = site.app, database.url.render_as_string(hide_password=False)
    held = site.dispatch("Plain.hold", {"gate": "held"})
    later = site.dispatch("Plain.nothing", delay=3)
    site.until_noted(held)
    dispatcher = Dispatcher(site)
    dispatcher.start()
    try:
        site.until(lambda: len(dispatcher.jobs) >= 5, what="some are dispatched before")
        status, said = move(old, "--to", url)
        assert status == 0, said
        site.set(database_uri=url, processes=2, idle_timeout=20, kill_grace=0.5)
        new = dispatcher.app = sys.modules[site.name].create_app()
        source = f"sqlite:///{site.folder / 'app.db'}"
        status, said = move(new, "--from", source, "--finish")
        assert status == 1, said  # one runs, and ends where it runs
        site.open_gate("held")
        site.until(
            lambda: move(new, "--from", source, "--finish")[0] == 0, what="nothing is left in the old database"
        )
        by_then = len(dispatcher.jobs)
        site.until(lambda: len(dispatcher.jobs) >= by_then + 5, what="some are dispatched after it")
    finally:
        dispatcher.stop()
    old.test_cli_runner().invoke(args=["bgjobs", "stop"])
    app_state(old).store.database.dispose()
    site.app = new
    handles = [held, later, *dispatcher.jobs]
    assert len({handle.id for handle in handles}) == len(handles)
    rows = site.wait(*[JobHandle(site.state, handle.id, "pending", 0) for handle in handles])
    assert {(row.status, row.error_message) for row in rows} == {("completed", None)}
    runs = [event.job for event in site.events(what="start")]
    assert sorted(runs) == sorted(handle.id for handle in handles)


def move(app: Flask, *arguments: Any) -> tuple[int, str]:
    """The exit status of the command, and what it said."""
    done = app.test_cli_runner().invoke(args=["bgjobs", "move", *arguments])
    return done.exit_code, done.output
