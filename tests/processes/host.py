"""What a test takes from the host for a while: a small disk, a group of processes with a limit. Needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from waiting import until


@contextmanager
def small_disk(place: Path, kibibytes: int) -> Iterator[Path]:
    """A file system of its own at ``place``, until everything in it is closed."""
    place.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k,mode=700", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        until(lambda: subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode == 0)


@dataclass(frozen=True)
class Network:
    """A network of its own, with one link to ours."""

    name: str
    link: str
    address: str  # of our end

    @property
    def prefix(self) -> tuple[str, ...]:
        """What runs a command in it."""
        return ("ip", "netns", "exec", self.name)

    def set(self, state: str) -> None:
        """The link is ``up`` or ``down``."""
        _ip("link", "set", self.link, state)


@contextmanager
def network() -> Iterator[Network]:
    """A network namespace for the length of the block."""
    number = os.getpid() % 256
    made = Network(f"bgjobs-{os.getpid()}", f"bgj{os.getpid()}a", f"10.213.{number}.1")
    inner = f"bgj{os.getpid()}b"
    try:
        _ip("netns", "add", made.name)
        _ip("link", "add", made.link, "type", "veth", "peer", "name", inner, "netns", made.name)
        _ip("address", "add", f"{made.address}/30", "dev", made.link)
        _ip("-n", made.name, "address", "add", f"10.213.{number}.2/30", "dev", inner)
        _ip("-n", made.name, "link", "set", inner, "up")
        made.set("up")
    except (OSError, subprocess.CalledProcessError) as error:
        _end(made)
        pytest.skip(f"no network namespace can be made here: {error}")
    try:
        yield made
    finally:
        _end(made)


def _end(made: Network) -> None:
    for arguments in (("link", "del", made.link), ("netns", "del", made.name)):
        with suppress(OSError, subprocess.CalledProcessError):
            _ip(*arguments)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def set_mode(disk: Path, mode: str) -> None:
    """Read-only (``ro``), or not (``rw``)."""
    subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=True, capture_output=True)


def fill(disk: Path) -> Path:
    """Leave not a byte free; the file that takes the room."""
    filler = disk / "filler"
    with suppress(OSError), open(filler, "ab", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return filler


@contextmanager
def control_group(controller: str, **limits: int) -> Iterator[Path]:
    """A group of processes with limits, by the names of its files: ``pids_max=5`` is ``pids.max``.

    What is in it at the end goes back to where it would be without it.
    """
    root = Path("/sys/fs/cgroup", controller)
    unified = not root.is_dir()
    group = (Path("/sys/fs/cgroup") if unified else root) / f"bgjobs-test-{os.getpid()}"
    try:
        group.mkdir()
        for name, value in limits.items():
            (group / name.replace("_", ".", 1)).write_text(str(value))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group for {controller} can be made here: {error}")
    try:
        yield group
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(OSError):
                (group.parent / "cgroup.procs").write_text(pid)
        until(lambda: _removed(group), what="the group is empty")


def _removed(group: Path) -> bool:
    with suppress(OSError):
        group.rmdir()
    return not group.exists()
