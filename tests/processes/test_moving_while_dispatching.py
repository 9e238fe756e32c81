"""An application goes from SQLite to a server by its settings, while jobs are dispatched: each runs once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from databases import SERVERS
from flask import Flask
from real_site import MakeSite, RealSite
from sqlalchemy.engine import URL

from bgjobs import JobHandle, run_background_job
from bgjobs.app_state import app_state


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
    old, url = site.app, servers(server, "switch").render_as_string(hide_password=False)
    held = site.dispatch("Plain.hold", {"gate": "held"})
    later = site.dispatch("Plain.nothing", delay=3)
    site.until_noted(held)
    dispatcher = Dispatcher(site)
    dispatcher.start()
    try:
        assert move(old, "--to", url) == 0
        site.set(database_uri=url, processes=2, idle_timeout=20, kill_grace=0.5)
        new = dispatcher.app = sys.modules[site.name].create_app()
        source = f"sqlite:///{site.folder / 'app.db'}"
        assert move(new, "--from", source, "--finish") == 1  # one runs, and ends where it runs
        site.open_gate("held")
        site.until(
            lambda: move(new, "--from", source, "--finish") == 0, what="nothing is left in the old database"
        )
    finally:
        dispatcher.stop()
    old.test_cli_runner().invoke(args=["bgjobs", "stop"])
    app_state(old).store.database.dispose()
    site.app = new
    handles = [held, later, *dispatcher.jobs]
    assert len({handle.id for handle in handles}) == len(handles) > 10
    rows = site.wait(*[JobHandle(site.state, handle.id, "pending", 0) for handle in handles])
    assert {(row.status, row.attempt, row.error_message) for row in rows} == {("completed", 1, None)}
    runs = [event.job for event in site.events(what="start")]
    assert sorted(runs) == sorted(handle.id for handle in handles)


def move(app: Flask, *arguments: Any) -> int:
    return app.test_cli_runner().invoke(args=["bgjobs", "move", *arguments]).exit_code
