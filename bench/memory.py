"""The processes of a measurement and their memory. Whatever inherited the folder from us belongs to it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil


def processes(folder: str) -> Iterator[psutil.Process]:
    """The living processes of the measurement in ``folder``, but for this one."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("BENCH_FOLDER") == folder:
                yield process


def pss(folder: str, *, titles: tuple[str, ...] = ()) -> float:
    """MiB of all processes together; a page that several share counts once. ``titles`` picks those whose
    command line contains one of them."""
    total = 0
    for process in processes(folder):
        with contextlib.suppress(psutil.Error, OSError):
            if not titles or any(title in " ".join(process.cmdline()) for title in titles):
                rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


def left_behind(folder: str, seconds: float) -> list[str]:
    """What still runs after so many seconds at the most."""
    deadline = time.monotonic() + seconds
    while True:
        found = [f"{process.pid} {process.name()}" for process in processes(folder)]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)
