"""What every suite shares."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from brokers import missing, own_broker
from databases import SERVERS, answers, own_database
from ports import free_port
from sqlalchemy.engine import URL

from bgjobs.database import Database

BROWSER_TESTS = Path(__file__).parent / "browser"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Playwright leaves an event loop in the main thread until its fixture ends, and asyncio.run() refuses to
    # work beside it. What takes longest comes last, too.
    items.sort(key=lambda item: BROWSER_TESTS in item.path.parents)


def pytest_collection_finish() -> None:
    """What thousands of tests consist of stays to the end: nobody need look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with our tables and nothing in them, to be copied: making them takes a tenth of a second."""
    path = tmp_path_factory.mktemp("empty") / "app.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.dispose()
    return path


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str, str], URL]]:
    """A database with our tables on a server, by the server's name and what it is for; made at first use. Skips
    where the server does not answer."""
    with ExitStack() as opened:
        is_there = cache(answers)

        @cache
        def url_of(server: str, purpose: str) -> URL:
            return opened.enter_context(own_database(server, purpose))

        def url_or_skip(server: str, purpose: str) -> URL:
            if not is_there(SERVERS[server]):
                words = f"{server} does not answer at {SERVERS[server]}"
                pytest.fail(words) if os.environ.get("BGJOBS_REQUIRE_SERVERS") else pytest.skip(words)
            return url_of(server, purpose)

        yield url_or_skip


@pytest.fixture(scope="session")
def brokers() -> Iterator[Callable[[str, str], str]]:
    """The URL of an empty broker, by its name and what it is for; made at first use. Skips where there is none."""
    with ExitStack() as opened:

        @cache
        def url_of(broker: str, purpose: str) -> str:
            return opened.enter_context(own_broker(broker, purpose, free_port))

        def url_or_skip(broker: str, purpose: str) -> str:
            if (lack := missing(broker)) is not None:
                words = f"{broker} cannot be tested: {lack}"
                pytest.fail(words) if os.environ.get("BGJOBS_REQUIRE_SERVERS") else pytest.skip(words)
            return url_of(broker, purpose)

        yield url_or_skip


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Wait until a condition is true and return what it was; fail when it does not become so in time."""

    def wait(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, "the condition did not become true in time"
            time.sleep(0.005)  # what is waited for needs the processor, too
        return value

    return wait
