"""Hands the job of a message to the supervisor of this machine, and waits until that is done with it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading

from bgjobs.custom_logger import console
from bgjobs.database import Database
from bgjobs.exceptions import BackendUnavailable
from bgjobs.outbox import Letter, take_back
from bgjobs.processes.channel import Channel
from bgjobs.supervisor import feed
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.launcher import has_made_room, wake_or_launch
from bgjobs.supervisor.sockets import address_in
from bgjobs.supervisor.status import supervisor_status

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class HandOver:
    """For all threads of a worker, which runs ``slots`` jobs at once."""

    def __init__(self, config: SupervisorConfig, database: Database, slots: int) -> None:
        self._config = config
        self._database = database
        self._slots = slots
        self._closing = threading.Event()
        self._own = threading.local()  # of each thread: its channel

    def attend(self) -> None:
        """See to it that there is a supervisor, until the worker closes: for a thread of its own."""
        while (channel := self._connected()) is not None:
            while channel.receive() is not None:
                pass
            channel.close()

    def run(self, job_id: int, token: str) -> bool:
        """Have a job run; True when the supervisor is done with this message. Where the worker closes before, the
        job is given back to be run elsewhere."""
        while (channel := self._channel()) is not None:
            channel.send({"job": job_id, "token": token})
            if channel.receive() is not None:
                return True
            # The supervisor died. If the job runs, the next one knows it by its token and waits for its end.
            channel.close()
            self._own.channel = None
        self._give_back(job_id, token)
        return False

    def close(self) -> None:
        """Let the supervisor stop as a service manager would: running jobs may finish for the grace period, the
        others go back to pending."""
        self._closing.set()
        status = supervisor_status(self._config.state_folder)
        if status is not None and status.backend == self._config.backend:
            with contextlib.suppress(ProcessLookupError):
                os.kill(status.pid, signal.SIGTERM)

    def _channel(self) -> Channel | None:
        channel: Channel | None = getattr(self._own, "channel", None)
        if channel is None:
            channel = self._own.channel = self._connected()
        return channel

    def _connected(self) -> Channel | None:
        """A new connection to the supervisor, which is started where there is none; None once it closes."""
        pause = _FIRST_PAUSE
        while not self._closing.is_set():
            channel = self._dialled()
            if channel is not None and channel.send({"worker": os.getpid(), "slots": self._slots}):
                return channel
            try:
                has_made_room(self._config)
                wake_or_launch(self._config)
            except OSError as error:  # no process, no descriptor, no room on the disk
                console.warning("No supervisor could be started: %s. Trying again.", error)
            self._closing.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return None

    def _dialled(self) -> Channel | None:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with address_in(self._config.folder, feed.NAME) as address:
                end.connect(address)
        except OSError:
            end.close()
            return None
        return Channel(end)

    def _give_back(self, job_id: int, token: str) -> None:
        """Otherwise nobody would notice for a while that the message led to nothing."""
        with contextlib.suppress(BackendUnavailable), self._database.writing() as connection:
            take_back(connection, [Letter(job_id, token, "")])
