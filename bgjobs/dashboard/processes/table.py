"""The table of running jobs as the template shows it: plain values."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bgjobs.dashboard import actions, formats
from bgjobs.dashboard.counts import Count
from bgjobs.dashboard.formats import DASH
from bgjobs.dashboard.processes.queries import RunningJobs
from bgjobs.dashboard.processes.usage import Gauge, Usage, identity_in, judgement_of, usage_in
from bgjobs.dashboard.progress.words import Progress, progress_of
from bgjobs.leases import machine_of
from bgjobs.redaction import Redactor

STEPS = tuple(name for name in ("cancel", "kill") if name in actions.ON_A_JOB)
"""What can be done to a running job from here."""


@dataclass(frozen=True, slots=True)
class Action:
    name: str
    words: str
    question: str
    go_on: str


@dataclass(frozen=True, slots=True)
class RunningRow:
    id: int
    name: str
    process: str
    note: str  # what is to be said of the process
    is_lost: bool
    cpu: str
    memory: str
    threads: str
    children: str
    started_iso: str | None
    progress: Progress | None
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class RunningTable:
    rows: list[RunningRow]
    number: Count


def running_table(
    found: RunningJobs, silent: Collection[str], redactor: Redactor, kill_grace: float, now: datetime
) -> RunningTable:
    """``silent`` are the machines that are not heard of any more."""
    gauge = Gauge()
    return RunningTable(
        [_row(job, found.samples.get(job.id), silent, gauge, redactor, kill_grace, now) for job in found.rows],
        found.number,
    )


def local_pids(found: RunningJobs) -> list[int]:
    """The pids that are recorded for the running jobs."""
    return [job.pid for job in found.rows if isinstance(job.pid, int)]


def _row(
    job: Any,
    sample: Any,
    silent: Collection[str],
    gauge: Gauge,
    redactor: Redactor,
    kill_grace: float,
    now: datetime,
) -> RunningRow:
    identity = identity_in(job)
    judgement = judgement_of(identity)
    is_silent = judgement == "unknown" and machine_of(job) in silent
    usage, started = Usage(), formats.moment(job.started_at, now)
    if sample is not None and sample.attempt == job.attempt and judgement != "gone":
        usage = usage_in(sample)
    elif identity is not None and judgement == "alive" and job.backend != "inline":
        usage = gauge.read(identity)
    return RunningRow(
        id=job.id,
        name=formats.short_name(job.class_name, job.method_name),
        process=formats.line(job.pid) or DASH,
        note=f"on {formats.line(job.host)}, which is not heard of any more"
        if is_silent
        else _note(job, judgement),
        is_lost=is_silent or judgement == "gone",
        cpu=DASH if usage.cpu is None else f"{usage.cpu:,.0f} %",
        memory=formats.size(usage.rss),
        threads=_whole(usage.threads),
        children=_whole(usage.children),
        started_iso=started.iso if started else None,
        progress=progress_of(job, redactor, redactor.secrets(job.parameters)),
        actions=tuple(action for action in _actions(job, kill_grace) if action.name in STEPS),
    )


def _note(job: Any, judgement: str) -> str:
    if judgement == "gone":
        return "is gone; the supervisor recovers the job"
    if judgement == "unknown":
        return f"on {formats.line(job.host)}"
    if job.backend == "inline":
        return "is the application itself"
    if job.paused_at is not None:
        return "is held up"
    return "was asked to stop" if job.cancel_requested_at is not None else ""


def _actions(job: Any, kill_grace: float) -> list[Action]:
    ask = f"Ask job #{job.id} to stop? It gets SIGTERM, then SIGKILL if it still runs after {kill_grace:g} s."
    kill = f"Kill job #{job.id}? Its process gets SIGKILL at once and cannot clean up."
    cancel = [] if job.cancel_requested_at is not None else [Action("cancel", "Cancel", ask, "Cancel the job")]
    return [*cancel, Action("kill", "Kill", kill, "Kill the job")]


def _whole(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}"
