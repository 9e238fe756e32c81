"""Which processes belong to a site: those that stand in its folder, hold a file of it, or were told of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil


def processes_of(folder: Path) -> list[psutil.Process]:
    """Every process but this one that has to do with ``folder``, zombies of ours included."""
    found = []
    for pid in psutil.pids():
        if pid != os.getpid() and _belongs(pid, str(folder)):
            with suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(pid))
    return found


def zombies() -> list[psutil.Process]:
    """Children of this process that nobody waited for."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if child.status() == psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


def descriptors() -> dict[int, str]:
    """What this process has open."""
    return dict(_links("self"))


def command_line(pid: int) -> str:
    """The arguments that everybody can read."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")


def exists(pid: int) -> bool:
    """Whether a process with this pid lives; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _belongs(pid: int, folder: str) -> bool:
    with suppress(OSError):
        if os.readlink(f"/proc/{pid}/cwd").startswith(folder):
            return True
        if folder.encode() in Path(f"/proc/{pid}/environ").read_bytes():
            return True
        return any(link.startswith(folder) for _, link in _links(pid))
    return False


def _links(pid: int | str) -> Iterator[tuple[int, str]]:
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            yield int(name), os.readlink(f"/proc/{pid}/fd/{name}")
