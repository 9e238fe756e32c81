"""A site with real processes, and the clean end that it must come to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from census import descriptors, zombies
from real_site import RealSite
from waiting import until

from bgjobs.database import Database

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
        running = site.still_running()
        site.close()
    assert not running, "jobs are on record as running when nothing runs"
    with closing(sqlite3.connect(folder / "app.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not zombies()
    # Another test's site may have been closed in the meantime, so fewer are fine.
    until(lambda: not set(descriptors()) - before, 1, what=f"no descriptor more than {before}: {descriptors()}")


def empty_database_in(folder: Path) -> Path:
    """The file of a database that has our tables and no rows: what a site begins with."""
    file = folder / "empty.db"
    database = Database(f"sqlite:///{file}")
    database.migrate()
    database.dispose()
    return file
