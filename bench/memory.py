"""The processes of a measurement and their memory.

A process belongs to a measurement if it has a file in its folder open: its log, its marks, its output. Their
environment would not do, because a process that sets its title writes over it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path


def processes(folder: str) -> Iterator[int]:
    """The pids of the living processes of the measurement in ``folder``, but for this one."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                files = [
                    os.readlink(f"/proc/{entry}/fd/{descriptor}") for descriptor in os.listdir(f"/proc/{entry}/fd")
                ]
                if any(file.startswith(f"{folder}/") for file in files):
                    yield int(entry)


def pss(folder: str) -> float:
    """MiB of all of them together; a page that several share counts once."""
    return sum(map(_pss_of, processes(folder)), 0.0)


def left_behind(folder: str, seconds: float) -> list[str]:
    """What still runs after so many seconds at the most."""
    deadline = time.monotonic() + seconds
    while True:
        found = list(processes(folder))
        if not found or time.monotonic() > deadline:
            return [_title_of(pid) for pid in found]
        time.sleep(0.05)


def _pss_of(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _title_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return f"{pid} " + Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:80].strip()
    return str(pid)
