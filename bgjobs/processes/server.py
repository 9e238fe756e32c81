"""The supervisor's view of a fork server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bgjobs.app_location import AppLocation, Expected
from bgjobs.processes import launch
from bgjobs.processes.channel import Channel, Message
from bgjobs.role import Role

AHEAD: tuple[str, Role] = ("bgjobs.processes.fork_server", "fork server")
"""What is started ahead of a supervisor's own imports."""
Ahead = tuple[socket.socket, "subprocess.Popen[bytes]"]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """How job processes are started and what they need. ``start_method`` is auto, fork or spawn."""

    location: AppLocation
    expected: Expected
    folder: str  # the state folder
    start_method: str
    jobs_per_process: int
    ready_within: float | None

    @property
    def first_start_method(self) -> str:
        """What to try first: on macOS a fork without exec breaks the system's own libraries."""
        if self.start_method == "auto":
            return "spawn" if sys.platform == "darwin" else "fork"
        return self.start_method

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "location": self.location.to_json()}


@dataclass(eq=False, slots=True)
class Server:
    """A fork server that was started: the channel to it, and what it has told of the application."""

    channel: Channel
    child: subprocess.Popen[bytes]
    start_method: str
    loaded: bool = False
    retired: bool = False
    files: dict[str, int] = field(default_factory=dict)
    started_at: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, config: ServerConfig, start_method: str) -> Server:
        """Start one. It speaks up when it has loaded the application, or could not."""
        channel, theirs = Channel.pair()
        with theirs:
            child = launch.start(*AHEAD, channel=theirs.fileno(), output=2)
        return cls._told(channel, child, config, start_method)

    @classmethod
    def started_ahead(cls, ahead: Ahead, config: ServerConfig, start_method: str) -> Server:
        """The one that was started before anything was known of the application, and waits to be told."""
        end, child = ahead
        return cls._told(Channel(end), child, config, start_method)

    @classmethod
    def _told(
        cls, channel: Channel, child: subprocess.Popen[bytes], config: ServerConfig, start_method: str
    ) -> Server:
        channel.send({**config.to_json(), "start_method": start_method})
        return cls(channel, child, start_method)

    @property
    def pid(self) -> int:
        return self.child.pid

    def start_processes(self, slots: Sequence[int], ends: Sequence[int]) -> bool:
        """Ask for job processes, up to ``MOST_DESCRIPTORS``, each of which gets one of ``ends`` as its channel."""
        return self.channel.send({"start": slots}, ends)

    def kill_process(self, slot: int) -> None:
        self.channel.send({"kill": slot})

    def retire(self) -> None:
        """Tell it to start nothing more and to leave when its last child has ended."""
        self.retired = True
        self.channel.send({"retire": True})

    def note_application(self, told: Message) -> None:
        """Remember which files the application consists of."""
        self.files.update(told.get("files", {}))

    def code_changed(self) -> bool:
        """Whether any source file of the application is another one than the one that was loaded."""
        return any(_modified(file) != then for file, then in self.files.items())


def _modified(file: str) -> int | None:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return None
