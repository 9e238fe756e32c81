"""A browser for the tests, and an application to look at.

The number beside a test, here and in tests/dashboard, is that of the check it belongs to:

1 the table has its columns, and badges of word, icon and colour; 2 a row of another process is seen; 3 typing
makes one search; 4 typed text, caret and focus survive; 5 a stale answer never wins; 6 what is ticked, opened,
selected or under the pointer stays; 7 the focus goes to a row; 8 no news means 304 and no change; 9 a hidden page
asks for nothing; 10 the server goes and comes back; 11 the session ends; 12 paging while rows arrive, and going
back; 13 the policy is kept; 14 forged requests; 15 actions; 16 selections; 17 the keyboard; 18 axe and
announcements; 19 small screens, and nothing shifts; 20 no JavaScript, and text that attacks.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from jinja2 import FileSystemBytecodeCache
from live import ARGUMENTS, NONE_FOUND, WATCHED, Errors, LiveSite, Server, chromium
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from steps import PATIENCE

from bgjobs import BackgroundJobs

expect.set_options(timeout=PATIENCE * 1000)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mine = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in mine:
        item.add_marker(pytest.mark.browser)
    if not mine or chromium() is not None:
        return
    if os.environ.get("BGJOBS_REQUIRE_BROWSER"):
        raise pytest.UsageError(f"{len(mine)} {NONE_FOUND}")
    # One stands for all of them, so that what is missing is said in one line.
    first, *others = mine
    first.add_marker(pytest.mark.skip(reason=f"{len(mine)} {NONE_FOUND}"))
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def site(tmp_path: Path, empty_database: Path, compiled_templates: FileSystemBytecodeCache) -> Iterator[LiveSite]:
    """An application with 30 logs of two jobs, where nothing runs by itself."""
    shutil.copy(empty_database, tmp_path / "app.db")
    app = Flask("shop", instance_path=str(tmp_path))
    app.config.update(
        SQLALCHEMY_DATABASE_URI="sqlite:///app.db",
        BGJOBS_AUTOSTART=False,
        BGJOBS_DASHBOARD_ACCESS="open",
    )
    app.jinja_env.bytecode_cache = compiled_templates
    db = SQLAlchemy(app)
    BackgroundJobs(app, db)
    site = LiveSite(app)

    @app.before_request
    def first_of_all() -> Any:
        site.requests.append((request.method, request.full_path.rstrip("?"), dict(request.headers)))
        return None if site.intercept is None else site.intercept()

    first = site.dispatch("run", {"to": "ada"})
    site.dispatch("slow", {"seconds": 3})
    for kind in ("success", "failure", "info"):
        site.add_logs(first, [f"{kind} log {n}" for n in range(8)], kind)
    site.server = Server(app)
    yield site
    site.server.stop()
    site.state.store.database.dispose()
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def errors() -> Errors:
    return Errors()


@pytest.fixture
def open_context(browser: Browser, errors: Errors) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser windows. Any error in their consoles fails the test: a violation of the policy, too."""
    made: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(PATIENCE * 1000)
        context.add_init_script(WATCHED)
        context.on("console", errors.note)
        context.on("weberror", lambda error: errors.found.append(str(error.error)))
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()
    assert errors.expected or errors.found == []


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    return open_context().new_page()
