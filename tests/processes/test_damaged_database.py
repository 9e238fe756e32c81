"""The database's file is damaged (F15): one clear error, no more jobs, and no supervisor after the other."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from real_site import MakeSite, RealSite, died_within
from waiting import monotonic

from bgjobs.exceptions import BackendUnavailable, DatabaseDamaged
from bgjobs.supervisor import supervisor

PAGE = 4096
# Seconds, for what is ten seconds otherwise; and how long we knock, which ends well before.
STANDSTILL, LOOKED_AT = 4.0, 1.0


def damage_header(file: Path) -> None:
    with open(file, "r+b") as opened:
        opened.write(b"no database at all")


def damage_pages(file: Path) -> None:
    """All but the first, which says that it is a database: every bit the other way round."""
    with open(file, "r+b") as opened:
        opened.seek(PAGE)
        pages = opened.read()
        opened.seek(PAGE)
        opened.write(bytes(byte ^ 0xFF for byte in pages))


@pytest.fixture
def damaged(make_warm_site: MakeSite, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> RealSite:
    """A site with a job that runs, whose database was damaged, and whose supervisor died; with ``backup.db``."""
    monkeypatch.setattr(supervisor, "STANDSTILL", STANDSTILL)  # what is started without an exec has it, too
    site = make_warm_site()
    held = site.dispatch("Plain.hold", {"gate": "on"})
    site.until_noted(held)
    pid = site.until_supervised().pid
    site.state.store.database.dispose()
    with closing(site.stranger()) as stranger:
        stranger.execute("VACUUM INTO ?", [str(site.folder / "backup.db")])
        stranger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    request.param(site.folder / "app.db")
    site.kill(pid)
    assert died_within([pid], 5)
    return site


@pytest.mark.parametrize("damaged", [damage_header, damage_pages], indirect=True)
def test_a_damaged_database_is_told_once_and_starts_no_one_after_the_other(damaged: RealSite) -> None:
    site, met = damaged, set()
    site.until(lambda: "is damaged" in logged(site), what="the error is told")
    told_at = monotonic()
    while monotonic() < told_at + LOOKED_AT:
        met.update(site.supervisors())
        with pytest.raises(DatabaseDamaged, match="restore a backup") as refused:
            site.dispatch("Plain.nothing")
        assert isinstance(refused.value, BackendUnavailable)
        site.state.backend.wake()
    assert len(met) == 1  # nobody comes while the first stands there
    site.until(lambda: not site.supervisors(), what="it has left")
    assert logged(site).count(" ERROR The database") == 1
    assert "Traceback" not in logged(site)
    restore(site)
    rows = site.wait(site.dispatch("Plain.nothing"), site.handle(1))
    assert [(row.status, row.attempt) for row in rows] == [("completed", 1), ("completed", 1)]


@pytest.mark.parametrize("damaged", [damage_pages], indirect=True)
def test_who_started_it_learns_that_it_failed(damaged: RealSite) -> None:
    site = damaged
    site.until(lambda: "is damaged" in logged(site) and not site.supervisors(), what="the first has left")
    code = """
from bgjobs.supervisor import supervisor
supervisor.STANDSTILL = 0.1
sys.exit(site.create_app().test_cli_runner().invoke(args=["bgjobs", "supervise"]).exit_code)
"""
    with site.python(code) as process:
        assert process.wait(30) == 1
    restore(site)
    assert site.wait(site.handle(1))[0].status == "completed"


def restore(site: RealSite) -> None:
    """Put the backup in its place, and let the job that still runs go on."""
    for name in ("app.db-wal", "app.db-shm"):
        (site.folder / name).unlink(missing_ok=True)
    (site.folder / "backup.db").replace(site.folder / "app.db")
    site.state.store.database.dispose()
    site.open_gate("on")


def logged(site: RealSite) -> str:
    return Path(site.state.folder.log).read_text()
