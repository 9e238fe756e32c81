"""Sites with real processes, and the clean end that each of them must come to."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import warm_start
from census import descriptors, zombies
from real_site import MakeSite, RealSite
from waiting import until

from bgjobs.processes import launch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

# Should a test die without its teardown, its processes are gone a little later.
IDLE_TIMEOUT = 20
# Long enough for a stop on a busy machine, short enough for a test of what comes after it.
KILL_GRACE = 0.5


@contextmanager
def real_site(folder: Path, database: Path, settings: dict[str, Any]) -> Iterator[RealSite]:
    before = set(descriptors())
    given = {"idle_timeout": IDLE_TIMEOUT, "kill_grace": KILL_GRACE, "processes": 4, **settings}
    site = RealSite(folder, database, given)
    try:
        yield site
    finally:
        site.stop()
        running = site.query("SELECT id FROM background_jobs WHERE status = 'running'")
        site.close()
    assert not running, "jobs are on record as running when nothing runs"
    with closing(sqlite3.connect(folder / "app.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not zombies()
    # Another test's site may have been closed in the meantime, so fewer are fine.
    until(lambda: not set(descriptors()) - before, 1, what=f"no descriptor more than {before}: {descriptors()}")


@pytest.fixture
def make_site(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[MakeSite]:
    """A function that makes a site for this test alone. Keyword arguments are settings without their prefix."""
    sites: list[RealSite] = []
    with ExitStack() as stack:

        def make(**settings: Any) -> RealSite:
            site = stack.enter_context(real_site(tmp_path_factory.mktemp("site"), empty_database, settings))
            sites.append(site)
            return site

        yield make
        for site in sites:
            site.check()


@pytest.fixture(scope="module")
def site_of_the_module(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[RealSite]:
    with real_site(tmp_path_factory.mktemp("site"), empty_database, {}) as site:
        yield site


@pytest.fixture
def site(site_of_the_module: RealSite) -> Iterator[RealSite]:
    """A site that the tests of a module share: starting one takes longer than most of what is tested."""
    yield site_of_the_module
    site_of_the_module.check()


@pytest.fixture
def make_warm_site(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> MakeSite:
    """As ``make_site``, where it does not matter that interpreters are started: that is left out, and its time."""
    monkeypatch.setattr(launch, "start", warm_start.start)
    return make_site
