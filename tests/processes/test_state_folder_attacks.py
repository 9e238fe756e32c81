"""Somebody prepared the places where our files will lie (S13 to S15): refused, and nothing of theirs touched."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
from pathlib import Path

import psutil
import pytest
from real_site import MakeSite, RealSite

from bgjobs.exceptions import ConfigurationError
from bgjobs.state_folder import StateFolder

CONTENT = "precious\n"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that is ours, and that somebody would have us write to."""
    path = tmp_path / "bashrc"
    path.write_text(CONTENT)
    return path


def state_folder(site: RealSite) -> Path:
    """Where the state folder will be, without making it."""
    return Path(StateFolder.of(str(site.state.settings.state_dir), site.state.database_url).path)


def refuses(site: RealSite, words: str) -> None:
    """A dispatch is refused with a message that says what to do, and nothing was stored."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        site.dispatch("Plain.nothing")
    assert "BGJOBS_STATE_DIR" in str(caught.value)
    assert site.query("SELECT count(*) FROM background_jobs") == [(0,)]
    assert not site.processes()
    repair(site)


def repair(site: RealSite) -> None:
    """Let the end of the test find a folder that it can look into."""
    folder = state_folder(site)
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        os.chown(folder, os.geteuid(), -1)
        folder.chmod(0o700)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_folder_that_others_may_write_to(make_site: MakeSite, mode: int) -> None:
    site = make_site()
    folder = state_folder(site)
    folder.mkdir(parents=True)
    folder.chmod(mode)
    refuses(site, "others may write to it")


def test_a_link_to_another_folder(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site()
    folder = state_folder(site)
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tmp_path)
    refuses(site, "not a directory")
    assert not list(tmp_path.iterdir())


def test_a_file_in_its_place(make_site: MakeSite) -> None:
    site = make_site()
    folder = state_folder(site)
    folder.parent.mkdir(parents=True)
    folder.write_text(CONTENT)
    refuses(site, "cannot be used")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else(make_site: MakeSite) -> None:
    site = make_site()
    folder = state_folder(site)
    folder.mkdir(parents=True, mode=0o700)
    os.chown(folder, 12345, -1)
    refuses(site, "belongs to user 12345")


@pytest.mark.parametrize("name", ["supervisor.lock", "launch.lock", "supervisor.log", "status.json.new"])
def test_a_link_in_the_place_of_a_file(make_warm_site: MakeSite, victim: Path, name: str) -> None:
    """The dispatch is stored, because the row is the truth; the supervisor refuses to follow the link."""
    site = make_warm_site()
    place = Path(site.state.folder.path, name)
    place.symlink_to(victim)
    job = site.dispatch("Plain.nothing")
    if name == "status.json.new":  # it is not needed for the work
        site.wait(job)
    else:  # who dispatches while one starts that will refuse relies on that one
        site.until(lambda: not site.processes(), what="the supervisor has refused")
    place.unlink(missing_ok=True)
    site.run("Plain.nothing")
    site.wait(job)
    assert victim.read_text() == CONTENT


def test_a_link_in_the_place_of_the_doorbell(make_warm_site: MakeSite, victim: Path) -> None:
    site = make_warm_site()
    Path(site.state.folder.path, "bell").symlink_to(victim)
    assert site.run("Plain.nothing").status == "completed"
    assert victim.read_text() == CONTENT
    assert stat.S_ISSOCK(os.lstat(os.path.join(site.state.folder.path, "bell")).st_mode)


def test_who_rings_without_a_pause_holds_nobody_up(make_warm_site: MakeSite) -> None:
    """S15: whatever is sent to the doorbell, of any size and however often, it is a ring and no more."""
    site = make_warm_site()
    site.run("Plain.nothing")
    supervisor = psutil.Process(site.until_supervised().pid)
    before = supervisor.memory_info().rss
    enough = threading.Event()
    ringers = [threading.Thread(target=ring_without_a_pause, args=(site.state.folder.path, enough)) for _ in "ab"]
    for ringer in ringers:
        ringer.start()
    try:
        assert {site.run("Plain.nothing").status for _ in range(5)} == {"completed"}
    finally:
        enough.set()
        for ringer in ringers:
            ringer.join()
    assert site.until_supervised().pid == supervisor.pid
    assert supervisor.memory_info().rss - before < 5 * 1024 * 1024


def ring_without_a_pause(folder: str, enough: threading.Event) -> None:
    bell = os.open(folder, os.O_PATH | os.O_DIRECTORY)  # a Unix address holds no long path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ringer:
        ringer.setblocking(False)
        while not enough.is_set():
            for garbage in (b"", b"\x00", b"{" * 10_000, os.urandom(100_000)):
                with contextlib.suppress(OSError):
                    ringer.sendto(garbage, f"/proc/self/fd/{bell}/bell")
    os.close(bell)


def test_a_link_in_the_place_of_an_output_file(make_warm_site: MakeSite, victim: Path) -> None:
    """The output is lost, the job is not, and the file of somebody else stays as it was."""
    site = make_warm_site()
    first = site.run("Plain.nothing").id
    for number in range(first + 1, first + 4):
        Path(site.state.folder.output_file(number, 1)).symlink_to(victim)
    rows = site.wait(*[site.dispatch("Plain.say", {"words": "overwritten"}) for _ in range(3)])
    assert {row.status for row in rows} == {"completed"}
    assert victim.read_text() == CONTENT


def test_a_link_in_the_place_of_the_log_files(make_warm_site: MakeSite, victim: Path) -> None:
    site = make_warm_site()
    logs = site.folder / "instance" / "logs"
    logs.mkdir()
    for name in ("background_jobs.log", "background_jobs_errors.log"):
        (logs / name).symlink_to(victim)
    assert site.run("Plain.flaky", {"failures": 1}).status == "completed"
    assert victim.read_text() == CONTENT
    for name in ("background_jobs.log", "background_jobs_errors.log"):
        (logs / name).unlink()
        os.mkfifo(logs / name)
    assert site.run("Plain.flaky", {"failures": 1}).status == "completed"


def test_what_is_created_is_private(make_site: MakeSite) -> None:
    site = make_site()
    site.run("Plain.say", {"words": "x"})
    site.until_supervised()
    for folder, _, names in os.walk(site.state.folder.path):
        assert stat.S_IMODE(os.lstat(folder).st_mode) == 0o700, folder
        for name in names:
            mode = os.lstat(os.path.join(folder, name)).st_mode
            assert stat.S_IMODE(mode) & 0o077 == 0, name
