"""The fork server: has the application loaded, one thread and no database connection; forks when told.

It is also the parent of the job processes, so it is the one who sees how each of them ended. With the
start method ``spawn`` it loads nothing and starts a fresh interpreter for each job process instead.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable
from typing import NoReturn, Protocol

from bgjobs.app_state import AppState
from bgjobs.fail_points import ARMED, reach
from bgjobs.processes import launch
from bgjobs.processes.app_loader import (
    load_app,
    release_connections,
    threads_besides_main,
    watched_files,
)
from bgjobs.processes.channel import Channel, Message
from bgjobs.processes.huge_pages import collapse_memory
from bgjobs.processes.job_entry import LEFT_CHILDREN, STOP_SIGNALS, prepare_to_be_forked, serve
from bgjobs.processes.job_process import JobProcessConfig
from bgjobs.processes.orphans import become_parent_of_orphans, children
from bgjobs.processes.rehearsal import rehearse
from bgjobs.processes.title import set_title
from bgjobs.processes.wakeup import Wakeup
from bgjobs.runner.custom_background_job_runner import RSS_UNIT

_TITLE = "bgjobs: fork server"


def main(descriptor: int) -> NoReturn:
    """Serve the supervisor at the other end of ``descriptor``."""
    channel = Channel.from_descriptor(descriptor)
    message = channel.receive()
    if message is None:
        os._exit(0)
    set_title(_TITLE)
    if message["start_method"] == "spawn":
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        channel.send({"loaded": True, "files": {}, "threads": []})
        _Server(channel, _Spawner()).run()
    config = JobProcessConfig.from_json(message)
    state = _load(channel, config)
    _Server(channel, _Forker(state, config)).run()


def _load(channel: Channel, config: JobProcessConfig) -> AppState:
    location = config.location
    try:
        state = load_app(location, config.expected)
        release_connections(state)
        state.runner_class, state.approval.classes  # noqa: B018 - imported here, once, not in every child
    except BaseException as error:  # noqa: BLE001 - whatever the application does while it loads, it is reported
        files = watched_files(location.directory)
        if isinstance(error, SyntaxError) and error.filename:
            files.setdefault(error.filename, 0)
        channel.send(
            {"failed": traceback.format_exc(), "reason": f"{type(error).__name__}: {error}", "files": files}
        )
        os._exit(1)
    prepare_to_be_forked()
    rehearse(config)
    set_title(_TITLE)
    gc.collect()
    # What is loaded now is shared with every child; a collector that walked it there would copy it.
    gc.freeze()
    collapse_memory()
    channel.send(
        {
            "loaded": True,
            "files": watched_files(location.directory),
            "threads": threads_besides_main(),
        }
    )
    return state


class _Starter(Protocol):
    def start(self, descriptor: int, leave_server: Callable[[], None]) -> int:
        """Start a job process that talks over ``descriptor``, which is closed here; its pid. Raises
        :class:`OSError`."""

    def orphaned(self) -> None:
        """The supervisor is gone without a farewell."""


class _Forker:
    """Forks this process, which has the application loaded."""

    def __init__(self, state: AppState, config: JobProcessConfig) -> None:
        self._state = state
        self._config = config

    def start(self, descriptor: int, leave_server: Callable[[], None]) -> int:
        # Made ready here: a child pays for each function that it is the first to call, because counting a
        # reference to it copies the page that it lies on.
        channel = Channel.from_descriptor(descriptor)
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
            if pid == 0:
                try:
                    leave_server()
                    os.setsid()
                    serve(channel, self._state, self._config)
                finally:
                    os._exit(1)
        finally:
            channel.close()
        return pid

    def orphaned(self) -> None:
        self._state.backend.wake()


class _Spawner:
    """Starts a fresh interpreter, which loads the application itself."""

    def start(self, descriptor: int, leave_server: Callable[[], None]) -> int:
        try:
            process = launch.start("bgjobs.processes.job_entry", "job", channel=descriptor, output=2)
        finally:
            os.close(descriptor)
        process.returncode = 0  # the server reaps it; its finalizer must not complain
        return process.pid

    def orphaned(self) -> None:
        """The processes that wait for a job know the application, and do it."""


class _Server:
    def __init__(self, channel: Channel, starter: _Starter) -> None:
        self._channel = channel
        self._starter = starter
        self._slots: dict[int, int] = {}  # by pid
        self._spared: set[int] = set()  # what completed jobs have left behind on purpose
        self._condemned: set[int] = set()
        self._handed_over: deque[int] = deque()  # the ends of channels for processes that are started next
        self._retired = False
        self._wakeup = Wakeup()

    def run(self) -> NoReturn:
        """Obey the supervisor until it says farewell or is gone. Children that still run go on."""
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        become_parent_of_orphans()
        while not self._channel.closed and not (self._retired and not self._slots):
            select.select([self._channel.fileno(), self._wakeup.fileno()], [], [])
            self._reap()
            for message in self._channel.received():
                self._obey(message)
        # The farewell may have come while the application was loading, and nobody was there to be told of it.
        farewell = any("retire" in message for message in self._channel.received())
        if not (self._retired or farewell):
            self._starter.orphaned()
        os._exit(0)

    def _obey(self, message: Message) -> None:
        if "retire" in message:
            self._retired = True
        elif "start" in message:
            self._start_all(message["start"], self._channel.take_descriptors())
        elif "kill" in message:
            for pid in [pid for pid, slot in self._slots.items() if slot == message["kill"]]:
                os.kill(pid, signal.SIGKILL)

    def _start_all(self, slots: list[int], descriptors: list[int]) -> None:
        self._handed_over.extend(descriptors)
        for slot in slots:
            if self._handed_over:
                self._start(slot, self._handed_over.popleft())
            else:
                self._channel.send({"not_started": slot, "reason": "the fork server has too many open files"})

    def _start(self, slot: int, descriptor: int) -> None:
        if ARMED:
            reach("fork.before")
        try:
            pid = self._starter.start(descriptor, self._close)
        except OSError as error:  # EAGAIN, ENOMEM: the supervisor tries again later
            self._channel.send({"not_started": slot, "reason": str(error)})
            return
        if ARMED:
            reach("fork.after")
        self._slots[pid] = slot

    def _close(self) -> None:
        """In a child: what belongs to the server alone, or to those that are started after it."""
        for descriptor in self._handed_over:
            os.close(descriptor)
        self._channel.close()
        self._wakeup.close()

    def _reap(self) -> None:
        """Report every job process that ended. One that ended badly leaves nothing behind that it started."""
        self._wakeup.drain()
        exited = []
        while (ended := _next_ended_child()) is not None:
            pid = ended.si_pid
            slot = self._slots.pop(pid, None)
            status_of_job = ended.si_status if ended.si_code == os.CLD_EXITED else None
            if slot is None:
                # One that is neither ended together with its job, which is not to be seen as ended yet: what that
                # leaves behind is judged when it is.
                if pid in self._spared or pid in self._condemned:
                    self._see_to_orphans(spare=pid in self._spared)
            elif status_of_job == LEFT_CHILDREN:
                self._see_to_orphans(spare=True)
            elif status_of_job != 0:
                _kill_group(pid)
                self._see_to_orphans(spare=False)
            self._spared.discard(pid)
            self._condemned.discard(pid)
            _, status, usage = os.wait4(pid, 0)
            if slot is not None:
                cpu_seconds = usage.ru_utime + usage.ru_stime
                exited.append((slot, os.waitstatus_to_exitcode(status), usage.ru_maxrss * RSS_UNIT, cpu_seconds))
        if exited:
            self._channel.send({"exited": exited})

    def _see_to_orphans(self, *, spare: bool) -> None:
        """The children that are new and were not started here are those of the process that just ended."""
        orphans = children() - self._slots.keys() - self._spared - self._condemned
        if spare:
            self._spared |= orphans
            return
        self._condemned |= orphans
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so the pid is nobody else's


def _next_ended_child() -> os.waitid_result | None:
    """A child that ended, not reaped yet: until then its pid, and its group's number, are nobody else's."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
