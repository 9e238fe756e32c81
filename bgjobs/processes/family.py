"""The processes of a job one by one: its own, and those that it started, as a tree."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from bgjobs.processes.identity import ProcessIdentity
from bgjobs.processes.measure import children_of

MOST, DEEPEST = 50, 6


@dataclass(frozen=True, slots=True)
class Member:
    """A process of a job. ``command`` is its command line, or else its name alone; ``started`` tells it from
    another one with the same pid."""

    pid: int
    depth: int
    command: tuple[str, ...]
    rss: int
    cpu_seconds: float
    threads: int
    started: float


@dataclass(frozen=True, slots=True)
class Family:
    """The members in the order of the tree, a parent before its children; ``is_cut`` says that there are more."""

    members: tuple[Member, ...]
    is_cut: bool


def family_of(identity: ProcessIdentity, *, most: int = MOST, deepest: int = DEEPEST) -> Family | None:
    """The processes of the job in this process; None unless it lives here, on this host and in this boot."""
    if identity.judge() != "alive":
        return None
    members: list[Member] = []
    is_cut = False
    for pid, parent, depth in _walk(identity.pid, deepest):
        if len(members) >= most:
            is_cut = True
            break
        with contextlib.suppress(psutil.Error, OSError):
            members.append(_look_at(pid, parent, depth))
    # Had it ended meanwhile, its pid could have been another's.
    return Family(tuple(members), is_cut) if identity.judge() == "alive" else None


def _walk(leader: int, deepest: int) -> Iterator[tuple[int, int, int]]:
    """Pid, parent and depth of each, a parent before its children."""
    waiting = [(leader, 0, 0)]
    while waiting:
        pid, parent, depth = waiting.pop()
        yield pid, parent, depth
        if depth < deepest:
            waiting += [(child, pid, depth + 1) for child in reversed(_children(pid))]


def _children(pid: int) -> list[int]:
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        try:
            return children_of(pid)
        except FileNotFoundError:  # another system, or it is gone
            return [child.pid for child in psutil.Process(pid).children()]
    return []


def _look_at(pid: int, parent: int, depth: int) -> Member:
    """Raises :class:`psutil.NoSuchProcess` for a process that is no child of ``parent`` any more."""
    process = psutil.Process(pid)
    with process.oneshot():
        if parent and process.ppid() != parent:
            raise psutil.NoSuchProcess(pid)
        times = process.cpu_times()
        return Member(
            pid=pid,
            depth=depth,
            command=tuple(filter(None, process.cmdline())) or (process.name(),),
            rss=process.memory_info().rss,
            cpu_seconds=times.user + times.system,
            threads=process.num_threads(),
            started=process.create_time(),
        )
