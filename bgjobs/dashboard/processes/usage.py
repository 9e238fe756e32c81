"""Which process a row means, and what it uses. A pid alone means nothing: it is used again."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import psutil

from bgjobs.dashboard import formats
from bgjobs.processes.identity import Judgement, ProcessIdentity, start_time
from bgjobs.processes.measure import children_of, measure

SECONDS = 0.015
"""For all jobs of a page together that have no sample yet: to look at one process takes a part of a millisecond,
but it may have started any number of others."""


@dataclass(frozen=True, slots=True)
class Usage:
    """As a row of ``job_samples`` has it; None for what is not known."""

    cpu: float | None = None
    rss: float | None = None
    threads: float | None = None
    children: float | None = None


class Gauge:
    """Looks at processes as long as there is time."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._until = time.monotonic() + seconds

    def read(self, identity: ProcessIdentity) -> Usage:
        """What the living process of a job uses now. The share of a CPU would take two looks."""
        if time.monotonic() >= self._until:
            return Usage()
        found = None
        with contextlib.suppress(psutil.Error, OSError):
            found = measure(identity)
        return Usage() if found is None else Usage(None, found.rss, found.threads, found.children)


def identity_in(row: Any) -> ProcessIdentity | None:
    """The process that a row records; None where it records none, or somebody edited it."""
    values = (row.host, row.boot_id, row.pid_namespace, row.process_started)
    if not all(isinstance(value, str) for value in values) or not isinstance(row.pid, int):
        return None
    return ProcessIdentity(row.host, row.boot_id, row.pid_namespace, row.pid, row.process_started)


def judgement_of(identity: ProcessIdentity | None) -> Judgement:
    return "gone" if identity is None else identity.judge()


def usage_in(sample: Any) -> Usage:
    """What a row of ``job_samples`` says."""
    number = formats.number
    return Usage(number(sample.cpu), number(sample.rss), number(sample.threads), number(sample.children))


def memory_of(pid: int) -> int | None:
    """The resident memory of a process that is known to live."""
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return None


def is_child(pid: int, parent: int) -> bool:
    """Whether ``parent`` has a living child of this pid: then it cannot be a pid that was used again."""
    with contextlib.suppress(psutil.Error):
        return start_time(pid) is not None and psutil.Process(pid).ppid() == parent
    return False


def living_children(pid: int) -> set[int] | None:
    """The children of a process; None where the system does not tell."""
    with contextlib.suppress(OSError):
        return {child for child in children_of(pid) if start_time(child) is not None}
    return None
