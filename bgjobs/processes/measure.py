"""What a job uses: its process and everything that this one started, at one moment."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import psutil

from bgjobs.processes.identity import ProcessIdentity, start_time


@dataclass(frozen=True, slots=True)
class Measured:
    """The sums over the processes of a job. ``rss`` counts a page that two of them share twice."""

    rss: int
    cpu_seconds: float
    threads: int
    children: int


def measure(identity: ProcessIdentity) -> Measured | None:
    """What the job in this process uses; None when it is gone."""
    if start_time(identity.pid) != identity.started:
        return None
    rss, cpu, threads, found = 0, 0.0, 0, 0
    for process in _family(identity.pid):
        with contextlib.suppress(psutil.Error), process.oneshot():
            times = process.cpu_times()
            # Of children that have ended and were waited for, the kernel has added up the time.
            cpu += times.user + times.system + times.children_user + times.children_system
            rss += process.memory_info().rss
            threads += process.num_threads()
            found += 1
    return Measured(rss, cpu, threads, max(0, found - 1)) if found else None


def memory_beyond(identity: ProcessIdentity, limit: int) -> int | None:
    """The memory that the job uses, if that is more than ``limit``.

    The resident size is quickly read, but counts what a forked process shares with the fork server and with its
    own children as if each had it alone. So where it is too much, the proportional size decides, in which such a
    page is divided among all who have it (Linux).
    """
    family = _family(identity.pid) if start_time(identity.pid) == identity.started else []
    if _sum(family, lambda process: process.memory_info().rss) <= limit:
        return None
    used = _sum(family, _proportional_size)
    return used if used > limit else None


def _proportional_size(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except psutil.AccessDenied:  # it became another user's
        return int(process.memory_info().rss)
    return int(getattr(memory, "pss", memory.rss))


def _sum(family, size) -> int:  # type: ignore[no-untyped-def]
    total = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            total += size(process)
    return total


def _family(pid: int) -> list[psutil.Process]:
    """The process and its descendants."""
    pids = [pid]
    try:
        for member in pids:
            pids += children_of(member)
    except FileNotFoundError:  # a kernel without such files, another system, or the process itself is gone
        with contextlib.suppress(psutil.Error):
            leader = psutil.Process(pid)
            return [leader, *leader.children(recursive=True)]
        return []
    family = []
    for member in pids:
        with contextlib.suppress(psutil.Error):
            family.append(psutil.Process(member))
    return family


def children_of(pid: int) -> list[int]:
    """The children of a process. Raises :class:`FileNotFoundError` where the system does not tell them so.

    Linux keeps a list for each thread. To look at every process of the host, as is done without it, takes
    a hundred times as long."""
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with (
            contextlib.suppress(ProcessLookupError),
            open(f"/proc/{pid}/task/{thread}/children", "rb") as file,
        ):
            found += map(int, file.read().split())
    return found
