"""The processes of a running job as a table, with nothing in it that should not be seen."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from bgjobs.dashboard import formats
from bgjobs.models import RUNNING, SUPERVISED
from bgjobs.processes.family import Family, Member, family_of
from bgjobs.processes.identity import ProcessIdentity
from bgjobs.redaction import MASK, Redactor, escape

KEPT = 1.0  # seconds: however many look, the processes are looked at once
_MOST_JOBS = 100
_LONGEST_COMMAND = 160
_LONGEST_WORD = 4096  # longer than what is shown, so that no half of a secret is

_NAME = re.compile(r"""([\w.-]{1,100})["']?\s?[=:]\s?""")


@dataclass(frozen=True, slots=True)
class Process:
    """A row of the table. ``cpu`` is of the time since the look before, a dash in the first one."""

    pid: int
    depth: int
    command: str
    cpu: str
    rss: str
    threads: str


@dataclass(frozen=True, slots=True)
class ProcessTree:
    rows: tuple[Process, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of the processes of a job, and the share of a CPU that each had since the look before."""

    at: float
    family: Family | None
    shares: dict[tuple[int, float], float]


class Looks:
    """Looks at processes, at the most once a second for each job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looks: dict[ProcessIdentity, Look] = {}

    def look(self, identity: ProcessIdentity, now: float | None = None) -> Look:
        now = time.monotonic() if now is None else now
        with self._lock:
            before = self._looks.get(identity)
            if before is not None and now - before.at < KEPT:
                return before
            family = family_of(identity)
            found = Look(now, family, _shares(before, family, now))
            self._looks.pop(identity, None)
            if family is not None:
                self._looks[identity] = found
            if len(self._looks) > _MOST_JOBS:
                del self._looks[next(iter(self._looks))]
            return found


_looks = Looks()


def process_tree(
    job: Row[Any], redactor: Redactor, secrets: set[str], looks: Looks = _looks
) -> ProcessTree | None:
    """The processes of a job that runs in one of its own, on this host; None for any other."""
    if job.status != RUNNING or job.backend not in SUPERVISED:
        return None
    look = looks.look(ProcessIdentity(job.host, job.boot_id, job.pid_namespace, job.pid, job.process_started))
    if look.family is None:
        return None
    rows = (_row(member, look, redactor, secrets) for member in look.family.members)
    return ProcessTree(tuple(rows), look.family.is_cut)


def shown_command(command: Sequence[str], redactor: Redactor, secrets: Iterable[str] = ()) -> str:
    """A command line on one line, short, and without what stands behind a name that is kept secret."""
    shown: list[str] = []
    hide = False
    for word in command[:_LONGEST_COMMAND]:  # a megabyte is possible, too
        shown.append(MASK if hide else _masked(word[:_LONGEST_WORD], redactor))
        hide = not hide and word.startswith("-") and "=" not in word and _is_secret(word, redactor)
    text = escape(redactor.text(" ".join(shown), secrets))
    return text if len(text) <= _LONGEST_COMMAND else f"{text[: _LONGEST_COMMAND - 1]}…"


def _masked(word: str, redactor: Redactor) -> str:
    """Where a secret begins within a word, nobody knows where it ends."""
    names = _NAME.finditer(word)
    place = next((name.end() for name in names if _is_secret(name[1], redactor)), len(word))
    return word if place == len(word) else f"{word[:place]}{MASK}"


def _is_secret(name: str, redactor: Redactor) -> bool:
    return bool(redactor.parameters({name: ""})[name] == MASK)


def _row(member: Member, look: Look, redactor: Redactor, secrets: set[str]) -> Process:
    share = look.shares.get((member.pid, member.started))
    return Process(
        pid=member.pid,
        depth=member.depth,
        command=shown_command(member.command, redactor, secrets),
        cpu=formats.DASH if share is None else f"{share:.0f} %",
        rss=formats.size(member.rss),
        threads=f"{member.threads:,}",
    )


def _shares(before: Look | None, family: Family | None, now: float) -> dict[tuple[int, float], float]:
    if before is None or before.family is None or family is None:
        return {}
    used = {(member.pid, member.started): member.cpu_seconds for member in before.family.members}
    return {
        key: max(0.0, member.cpu_seconds - used[key]) / (now - before.at) * 100
        for member in family.members
        if (key := (member.pid, member.started)) in used
    }
