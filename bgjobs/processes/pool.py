"""The processes of a supervisor: those that wait for a job and those that run one.

The pool knows processes and channels; of jobs it knows nothing. What the processes say and how they end is
collected in ``said`` and ``ended`` for whoever turns the crank.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from functools import partial

from bgjobs.custom_logger import console
from bgjobs.processes.backoff import Backoff
from bgjobs.processes.channel import MOST_DESCRIPTORS, Channel, Message
from bgjobs.processes.identity import ProcessIdentity, identity_of, start_time
from bgjobs.processes.process import Ended, Process
from bgjobs.processes.server import Ahead, Server, ServerConfig
from bgjobs.processes.watch import DeathWatch

# A forked process is ready in milliseconds; a fresh interpreter when it has imported the application.
_READY_WITHIN = {"fork": 10.0, "spawn": 120.0}
_SLOW_LOAD = 30.0
# Often enough that a job dispatched after an edit runs the new code, rarely enough to cost nothing in a burst.
_CODE_LOOK_INTERVAL = 0.05


class Pool:
    """Processes that were started ahead, so that a job waits for none."""

    def __init__(
        self,
        config: ServerConfig,
        selector: selectors.BaseSelector,
        watch: DeathWatch,
        ahead: Ahead | None = None,
    ) -> None:
        self._config = config
        self._ahead = ahead  # a fork server that is coming up already
        self._selector = selector
        self._watch = watch
        self._start_method = config.first_start_method
        self._processes: dict[int, Process] = {}
        self._last_slot = 0
        self._retired: list[Server] = []
        self._backoff = Backoff()
        self._ended_unready = False  # the process that ended last, if none got ready since
        self._next_code_look = 0.0
        self._broken_files: Server | None = None  # of an application that could not be loaded
        self.server: Server | None = None
        self.said: list[tuple[Process, Message]] = []
        self.ended: list[Ended] = []
        self.warning: str | None = None
        self.app_error: str | None = None

    @property
    def start_method(self) -> str:
        """How job processes come to be: fork or spawn."""
        return self._start_method

    @property
    def idle(self) -> list[Process]:
        """The processes that wait for a job, the oldest first."""
        return [item for item in self._processes.values() if item.identity is not None and not item.busy]

    @property
    def identities(self) -> set[ProcessIdentity]:
        """Of the processes that wait for a job or run one."""
        return {item.identity for item in self._processes.values() if item.identity is not None}

    @property
    def takers(self) -> list[Process]:
        """The processes that may be given a job, those that have one among them, the oldest first."""
        return [item for item in self._processes.values() if item.takes_jobs]

    def keep_idle(self, least: int, most: int) -> None:
        """See to it that at least ``least`` processes wait or are about to, and that at most ``most`` wait."""
        if self.server is None:
            self._start_server()
        waiting = sum(1 for item in self._processes.values() if not item.busy)
        if self.server is not None and self.server.loaded and self._backoff.is_over:
            for started in range(waiting, least, MOST_DESCRIPTORS):
                self._start_processes(self.server, min(MOST_DESCRIPTORS, least - started))
        for surplus in self.idle[most:]:
            surplus.leave()

    def assign(self, process: Process, message: Message, *, last: bool = False) -> bool:
        """Send a process its job, the last one if that is said there as well. False when it cannot have begun:
        the process is gone already."""
        process.in_flight += 1
        process.jobs_left = 0 if last else process.jobs_left - 1
        return process.channel.send(message)

    def look_for_new_code(self) -> None:
        """Take a fresh server when a source file of the application changed since it was loaded."""
        now = time.monotonic()
        if now < self._next_code_look:
            return
        self._next_code_look = now + _CODE_LOOK_INTERVAL
        if self.server is not None and self.server.code_changed():
            self._retire_server(self.server)
            self.server = None
        elif self._broken_files is not None and self._broken_files.code_changed():
            self._broken_files = None
            self._backoff.end()

    def check_deadlines(self) -> None:
        """Kill processes that did not get ready in time: a fork can hang in what it inherited."""
        server = self.server
        if server is not None and not server.loaded and server.started_at < time.monotonic() - _SLOW_LOAD:
            self.warning = (
                f"The application has been loading for more than {_SLOW_LOAD:g} s; its jobs wait for it."
            )
        limit = time.monotonic() - (self._config.ready_within or _READY_WITHIN[self._start_method])
        for process in self._processes.values():
            if process.identity is None and process.asked_at < limit:
                process.server.kill_process(process.slot)

    def close(self) -> None:
        """Let everything that waits go, and say farewell to the servers, so that none takes our end for an
        accident. Running jobs are not touched."""
        for server in (self.server, *self._retired):
            if server is not None:
                self._retire_server(server)
        self.server = None

    # -- what the other processes do -----------------------------------------------------------------

    def _start_server(self) -> None:
        if not self._backoff.is_over:
            return
        try:
            server = self._new_server()
        except OSError as error:
            console.warning("No fork server could be started: %s. Trying again.", error)
            self._backoff.begin()
            return
        self.server = server
        self._selector.register(server.channel, selectors.EVENT_READ, lambda: self._hear_server(server))

    def _new_server(self) -> Server:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return Server.started_ahead(ahead, self._config, self._start_method)
        return Server.start(self._config, self._start_method)

    def _hear_server(self, server: Server) -> None:
        for message in server.channel.received():
            if "exited" in message:
                for slot, status, peak_rss, cpu_seconds in message["exited"]:
                    self._process_ended(slot, status, peak_rss, cpu_seconds)
            elif "loaded" in message:
                self._server_loaded(server, message)
            elif "failed" in message:
                self._app_failed(server, message)
            elif "not_started" in message:
                self._not_started(message)
        if server.channel.closed:
            self._server_ended(server)

    def _server_loaded(self, server: Server, message: Message) -> None:
        server.note_application(message)
        threads = ", ".join(message["threads"])
        if threads and self._config.start_method == "auto":
            self.warning = (
                f"The application starts threads while it loads ({threads}), which a fork would lose: each job "
                "runs in a fresh interpreter instead, which is slower. Start them in a function registered with "
                "@jobs.after_fork, or set BGJOBS_START_METHOD to fork."
            )
            self._start_method = "spawn"
            self._retire_server(server)
            self.server = None
            return
        server.loaded = True
        self.warning = None if self._start_method == "fork" else self.warning
        if threads and self._start_method == "fork":
            self.warning = (
                f"The application starts threads while it loads ({threads}); job processes are forked "
                "without them, because BGJOBS_START_METHOD is fork."
            )
        if server.start_method == "fork":  # with spawn it is the processes that load the application
            self._succeeded()

    def _app_failed(self, server: Server, message: Message) -> None:
        if message["failed"] != self.app_error:
            console.error("The application cannot be loaded, its jobs wait:\n%s", message["failed"])
        self.app_error = message["failed"]
        server.note_application(message)
        self._broken_files = server
        self._backoff.begin()

    def _server_ended(self, server: Server) -> None:
        self._forget(server.channel)
        server.child.wait()
        if server in self._retired:
            self._retired.remove(server)
        if server is self.server:
            self.server = None
            if not server.loaded and server is not self._broken_files:
                self._backoff.begin()  # it died while loading, and would again
        for process in [item for item in self._processes.values() if item.server is server]:
            if process.busy and process.identity is not None:
                self._watch.until_gone(process.identity, partial(self._end, process, None))
            else:
                process.leave()
                self._remove(process)

    def _start_processes(self, server: Server, count: int) -> None:
        """Together, because after each message the server has to make its memory its own again, page by page."""
        with contextlib.ExitStack() as ends:
            started: list[tuple[Process, socket.socket]] = []
            try:
                while len(started) < count:
                    started.append(self._new_process(server, ends))
            except OSError as error:  # EMFILE, ENFILE: those that there was room for are started all the same
                if not started:
                    self._cannot_start(error)
            if started:
                slots, theirs = [process.slot for process, _ in started], [end.fileno() for _, end in started]
                server.start_processes(slots, theirs)

    def _new_process(self, server: Server, ends: contextlib.ExitStack) -> tuple[Process, socket.socket]:
        channel, theirs = Channel.pair()
        ends.enter_context(theirs)
        self._last_slot += 1
        process = Process(self._last_slot, channel, server, self._config.jobs_per_process)
        if self._start_method == "spawn":
            channel.send({"configure": self._config.to_json()})
        self._selector.register(channel, selectors.EVENT_READ, partial(self._hear_process, process))
        self._processes[process.slot] = process
        return process, theirs

    def _hear_process(self, process: Process) -> None:
        for message in process.channel.received():
            if "ready" in message:
                # It cannot be gone and its pid another's: we read this from its own channel.
                process.identity = identity_of(message["ready"], start_time(message["ready"]) or "")
                process.server.note_application(message)
                self._succeeded()
            elif "failed" in message:
                self._app_failed(process.server, message)
            else:
                self.said.append((process, message))
        if process.channel.closed:
            self._forget(process.channel)  # how it ended, its server will tell

    def _process_ended(self, slot: int, status: int, peak_rss: int, cpu_seconds: float) -> None:
        process = self._processes.get(slot)
        if process is not None:
            self._end(process, status, peak_rss, cpu_seconds)

    def _end(
        self, process: Process, status: int | None, peak_rss: int | None = None, cpu: float | None = None
    ) -> None:
        if not process.channel.closed:
            self._hear_process(process)  # its last words come before its end
        self._remove(process)
        if process.identity is None and not process.leaving:
            self._note_unready_end(status)
        self.ended.append(Ended(process, status, peak_rss, cpu))

    def _note_unready_end(self, status: int | None) -> None:
        """One can have bad luck. Where two in a row end before they are ready, so would the next hundred."""
        if self._ended_unready and self._backoff.is_over:
            console.warning("Job processes end before they are ready (exit status %s). Trying again.", status)
            self._backoff.begin()
        self._ended_unready = True

    def _not_started(self, message: Message) -> None:
        process = self._processes.get(message["not_started"])
        if process is not None:
            self._remove(process)
        self._cannot_start(message["reason"])

    def _cannot_start(self, reason: object) -> None:
        """Wait a little. Several that were to be started together fail together, which is one failure."""
        if self._backoff.is_over:
            console.warning("No process could be started: %s. Trying again.", reason)
            self._backoff.begin()

    # -- small steps ---------------------------------------------------------------------------------

    def _retire_server(self, server: Server) -> None:
        for process in self._processes.values():
            if process.server is server and not process.busy:
                process.leave()
                if process.identity is None:
                    # It may hang, and when we have left nobody would be there to kill it for that.
                    server.kill_process(process.slot)
        server.retire()
        if server not in self._retired:
            self._retired.append(server)

    def _remove(self, process: Process) -> None:
        self._processes.pop(process.slot, None)
        self._forget(process.channel)
        process.channel.close()

    def _forget(self, channel: Channel) -> None:
        with contextlib.suppress(KeyError, ValueError):  # it was forgotten already
            self._selector.unregister(channel)

    def _succeeded(self) -> None:
        self.app_error = None
        self._broken_files = None
        self._ended_unready = False
        self._backoff.reset()
