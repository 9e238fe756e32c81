"""The supervisor and its fork server, as the template shows them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bgjobs.app_state import AppState
from bgjobs.dashboard import formats
from bgjobs.dashboard.facts import Fact
from bgjobs.dashboard.formats import DASH
from bgjobs.dashboard.processes.usage import is_child, living_children, memory_of
from bgjobs.redaction import mask_urls
from bgjobs.supervisor.elsewhere import Elsewhere
from bgjobs.supervisor.status import SupervisorStatus, last_status


@dataclass(frozen=True, slots=True)
class Machine:
    """Who starts the jobs. Without facts there is nobody, and ``absence`` says what follows from that."""

    supervisor: tuple[Fact, ...] = ()
    fork_server: tuple[Fact, ...] = ()
    absence: str = ""
    command: str = ""


def machine(
    state: AppState, running_pids: Collection[int], now: datetime, elsewhere: Iterable[Elsewhere] = ()
) -> Machine:
    if state.settings.backend == "inline":
        return Machine(absence="Jobs run in the process that dispatches them, so there is no supervisor.")
    status = last_status(state.folder)
    judgement = "gone" if status is None else status.identity.judge()
    if status is None or judgement == "gone":
        if any(item.is_heard_of for item in elsewhere):
            return Machine(absence="None is running on this host; the hosts below run the jobs.")
        if state.settings.autostart:
            return Machine(absence="None is running. One comes with the next job, and leaves when it is idle.")
        return Machine(
            absence="None is running, so pending jobs wait. Start one:", command="flask bgjobs supervise"
        )
    is_here = judgement == "alive"
    return Machine(_supervisor(status, is_here, now), _fork_server(status, running_pids) if is_here else ())


@dataclass(frozen=True, slots=True)
class OtherRow:
    """A supervisor on another host."""

    host: str
    process: str
    processes: str
    started: formats.Moment | None
    version: str
    words: str
    is_silent: bool


def others(found: Iterable[Elsewhere], now: datetime) -> list[OtherRow]:
    return [
        OtherRow(
            host=formats.line(item.status.host),
            process=formats.line(item.status.pid),
            processes=formats.line(item.status.processes),
            started=formats.moment(_time(item.status.started_at), now),
            version=formats.line(item.status.version) or DASH,
            words=_words_of(item),
            is_silent=not item.is_heard_of,
        )
        for item in found
    ]


def _words_of(supervisor: Elsewhere) -> str:
    if not supervisor.is_heard_of:
        return "not heard of any more; its jobs are run again by others"
    return "cannot load the application" if supervisor.status.app_error else "at work"


def _supervisor(status: SupervisorStatus, is_here: bool, now: datetime) -> tuple[Fact, ...]:
    host = formats.line(status.host)
    return (
        Fact("Process", f"pid {formats.line(status.pid)}"),
        Fact("Host", host if is_here else f"{host}, which cannot be looked at from here"),
        Fact("Started", moment=formats.moment(_time(status.started_at), now)),
        Fact("Memory", formats.size(memory_of(status.pid)) if is_here else DASH),
        Fact("Jobs at once", formats.line(status.processes)),
        Fact("Start method", formats.line(status.start_method)),
        Fact("Backend", formats.line(status.backend)),
        Fact("Version", formats.line(status.version) or DASH),
        Fact("Database", mask_urls(formats.line(status.database)).partition("?")[0]),
    )


def _fork_server(status: SupervisorStatus, running_pids: Collection[int]) -> tuple[Fact, ...]:
    pid = status.fork_server_pid
    if not isinstance(pid, int) or not is_child(pid, status.pid):
        return ()
    children = living_children(pid)
    waiting = DASH if children is None else f"{len(children - set(running_pids))}"
    return (
        Fact("Process", f"pid {pid}"),
        Fact("Memory", formats.size(memory_of(pid))),
        Fact("Waiting processes", waiting),
    )


def _time(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
