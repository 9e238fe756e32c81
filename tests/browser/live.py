"""A real Chromium, and a real server in front of an application of the dashboard tests."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, url_for
from playwright.sync_api import ConsoleMessage, sync_playwright
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

sys.path.append(str(Path(__file__).resolve().parents[1] / "dashboard"))
from sites import Site

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NONE_FOUND = (
    "tests need a browser: install Chromium (apt install chromium), or run .venv/bin/playwright install chromium"
)


@cache
def chromium() -> str | None:
    """The browser of this computer, or else the one that Playwright brought."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is not None:
        return found
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


class QuietHandler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class Server:
    """The application on a port of its own; it can go down and come back."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self.port = 0
        self._server: BaseWSGIServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = make_server("127.0.0.1", self.port, self._app, threaded=True, request_handler=QuietHandler)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None


@dataclass
class LiveSite(Site):
    """An application that is served, and the requests that came."""

    server: Server = field(init=False)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    intercept: Callable[[], Any] | None = None  # what the application does before anything else

    @property
    def url(self) -> str:
        return f"{self.server.url}/dashboard"

    @property
    def logs(self) -> str:
        """The page of the log table alone."""
        with self.app.test_request_context():
            return f"{self.server.url}{url_for('bgjobs.logs')}"


WATCHED = """
window.begun = window.finished = 0;
document.addEventListener("htmx:before:request", () => { window.begun += 1; });
document.addEventListener("htmx:finally:request", () => { window.finished += 1; });
document.addEventListener("securitypolicyviolation", (event) => console.error("CSP: " + event.violatedDirective));
"""


@dataclass
class Errors:
    """What the console of the browser said, to be empty at the end unless a test expects some."""

    expected: bool = False
    found: list[str] = field(default_factory=list)

    def note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.found.append(message.text)
