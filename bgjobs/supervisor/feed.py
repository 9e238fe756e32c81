"""The feed: through this socket a worker hands over the jobs whose messages it has received.

A worker asks for one job at a time on each connection, and waits for the answer before it says to its broker that
the message is dealt with. The answer comes when the job has ended here, or when there is nothing to do for this
message: its job was run, cancelled or published anew meanwhile, or it runs elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import socket
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

from bgjobs.processes.channel import Channel, Message
from bgjobs.supervisor.sockets import address_in

NAME = "feed"
_BACKLOG = 128
_TOKEN = re.compile("[0-9a-f]{32}")
_MOST_SLOTS = 1024

Fed = tuple[int, str]
"""A job's id and the execution token under which it was published."""


class Feed:
    """The supervisor's side."""

    def __init__(self, folder: str, selector: selectors.BaseSelector) -> None:
        self._folder = folder
        self._selector = selector
        self._socket: socket.socket | None = None
        self._slots: dict[Channel, tuple[int, int]] = {}  # of each connection: its worker and how many it has
        self._asked: dict[Fed, Channel] = {}  # who waits for the answer
        self._new: dict[Fed, None] = {}  # nobody has tried to claim them yet; in their order

    @property
    def has_new(self) -> bool:
        return bool(self._new)

    @property
    def is_attended(self) -> bool:
        """Whether a worker is connected."""
        return bool(self._slots)

    @property
    def slots(self) -> int:
        """How many jobs the connected workers want to be run at once."""
        return sum(dict(self._slots.values()).values())

    def open(self) -> None:
        """Listen. Only the holder of the supervisor's lock does."""
        with address_in(self._folder, NAME) as address:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._folder, NAME))
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.bind(address)
        self._socket.listen(_BACKLOG)
        self._socket.setblocking(False)
        self._selector.register(self._socket, selectors.EVENT_READ, self._accept)

    def first(self, most: int) -> list[Fed]:
        """What is to be claimed next."""
        return list(self._new)[:most]

    def tried(self, fed: Iterable[Fed]) -> None:
        """A claim of these is committed."""
        for item in fed:
            self._new.pop(item, None)

    def answer(self, running: Collection[str]) -> None:
        """Answer for everything that was tried and whose token is not among those that run."""
        for item in [item for item in self._asked if item not in self._new and item[1] not in running]:
            self._answer(self._asked.pop(item), item)

    def close(self) -> None:
        """Hang up. Who waits for an answer then asks the next supervisor."""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._folder, NAME))
        for channel in list(self._slots):
            self._forget(channel)

    def _accept(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(OSError):  # who called has hung up, or no descriptor is free
            end, _ = self._socket.accept()
            channel = Channel(end)
            self._slots[channel] = (0, 0)
            self._selector.register(channel, selectors.EVENT_READ, partial(self._hear, channel))

    def _hear(self, channel: Channel) -> None:
        for message in channel.received():
            self._heed(channel, message)
        if channel.closed:
            self._forget(channel)

    def _heed(self, channel: Channel, message: Message) -> None:
        match message:
            case {"worker": int(worker), "slots": int(slots)}:
                self._slots[channel] = worker, max(0, min(slots, _MOST_SLOTS))
            case {"job": job_id, "token": token} if can_be_fed(job_id, token):
                self._ask(channel, (job_id, token))
            case {"job": _}:
                self._answer(channel, (0, ""))  # no such job can be: there is nothing to do for this message

    def _ask(self, channel: Channel, fed: Fed) -> None:
        if fed in self._asked:
            self._answer(channel, fed)  # the same message came a second time; the first one waits for the end
        else:
            self._asked[fed] = channel
            self._new[fed] = None

    def _answer(self, channel: Channel, fed: Fed) -> None:
        if not channel.send({"done": fed[0], "token": fed[1]}):
            self._forget(channel)

    def _forget(self, channel: Channel) -> None:
        """A worker is gone. What it asked for and nobody has claimed yet, others will be asked for."""
        if self._slots.pop(channel, None) is None:
            return
        for fed in [fed for fed, asking in self._asked.items() if asking is channel]:
            del self._asked[fed]
            self._new.pop(fed, None)
        self._selector.unregister(channel)
        channel.close()


def can_be_fed(job_id: Any, token: Any) -> bool:
    """Whether there can be such a job and token: whoever may write to the broker sends what they like, and a value
    that the database does not take would be in the way of all others."""
    is_id = type(job_id) is int and 0 < job_id < 2**63
    return is_id and isinstance(token, str) and _TOKEN.fullmatch(token) is not None
