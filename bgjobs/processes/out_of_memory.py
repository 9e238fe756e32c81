"""Whether the kernel killed a process for lack of memory: what its own counters say, before and after.

The counter of our control group counts the victims in it, whoever ran out of memory (cgroup v2
``memory.events``, v1 ``memory.oom_control``). Where there is none, that of the whole host is read
(``/proc/vmstat``): if it did not rise, it was not the kernel either.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from bgjobs.runner.lost import OutOfMemory

_FIELD = b"oom_kill"
_OF_HOST = "/proc/vmstat"


class OutOfMemoryCounter:
    """The kernel's count of processes that it killed for lack of memory.

    The kernel counts before it kills, so the count has risen when a death is heard of. It is compared with the
    look before the last one: between the last look and the death there may have been no time at all.
    """

    def __init__(self, files: Iterable[str] | None = None, of_host: str = _OF_HOST) -> None:
        candidates = _files_of_our_group() if files is None else files
        found = next((file for file in candidates if _count(file) is not None), None)
        self._is_ours = found is not None
        self._file = found or of_host
        self._before_last = self._last = _count(self._file)

    def look(self) -> None:
        """Remember the count. Call it about once a second while jobs run."""
        self._before_last, self._last = self._last, _count(self._file)

    def verdict(self) -> OutOfMemory:
        """What is to be said of a process that was just killed."""
        count = _count(self._file)
        if count is None or self._before_last is None:
            return "unknown"
        if count <= self._before_last:
            return "no"
        return "yes" if self._is_ours else "probably"


def _files_of_our_group() -> Iterator[str]:
    try:
        with open("/proc/self/cgroup") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return
    for _, controllers, path in groups:
        if controllers == "":
            for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
                yield f"{root}{path.rstrip('/')}/memory.events"
        elif "memory" in controllers.split(","):
            yield f"/sys/fs/cgroup/memory{path.rstrip('/')}/memory.oom_control"
            # In a container the path is that of the host, and our group is mounted at the top.
            yield "/sys/fs/cgroup/memory/memory.oom_control"


def _count(file: str) -> int | None:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(descriptor, 65536)
        finally:
            os.close(descriptor)
        fields = dict(line.split() for line in text.splitlines() if line.count(b" ") == 1)
        return int(fields[_FIELD])
    except (OSError, KeyError, ValueError):
        return None
