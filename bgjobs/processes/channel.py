"""A channel between two processes of ours: one JSON object a line over a Unix stream socket.

A descriptor can travel with a message. The end of the other side is the end of the stream, at once and
whatever killed it: that is what makes the channel the sign of life.
"""

from __future__ import annotations

import json
import os
import select
import socket
import threading
from array import array
from collections import deque
from collections.abc import Sequence
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from typing import Any

Message = dict[str, Any]

_plain = json.JSONEncoder(separators=(",", ":"))
# What ``json`` makes anew for each value, made once: the encoder written in C. It returns the text in pieces.
_in_pieces = c_make_encoder and c_make_encoder(
    None, _plain.default, encode_basestring_ascii, None, ":", ",", False, False, True
)
_decode = json.JSONDecoder().raw_decode

# Most messages are a hundred bytes. A larger buffer would be a mapping of its own for each of them.
_CHUNK = 16 * 1024
# A message is 130 kB at the most (parameters of 64 KiB, quoted twice), and should fit without waiting.
_BUFFER = 512 * 1024
MOST_DESCRIPTORS = 16
_ANCILLARY = socket.CMSG_SPACE(MOST_DESCRIPTORS * array("i").itemsize)
# What a job executes must not inherit a descriptor that was handed to us (not on macOS, which has no such flag).
_CLOEXEC = int(getattr(socket, "MSG_CMSG_CLOEXEC", 0))
# Whole numbers: the flags of the module are enumerations, and to join two of them is a dozen calls each time.
_NO_WAIT = int(socket.MSG_DONTWAIT)
_SEND_NO_WAIT = _NO_WAIT | int(socket.MSG_NOSIGNAL)
_TRUNCATED = int(socket.MSG_CTRUNC)
_NONE_ARRIVED = (socket.SOL_SOCKET, socket.SCM_RIGHTS, b"")
# Seconds for the other side to make room. A process that does not read for so long is stopped or stuck.
_PATIENCE = 5.0


class Channel:
    """One end of a channel."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._received = b""
        self._messages: deque[Message] = deque()
        self._descriptors: deque[list[int]] = deque()  # of each message that came with some
        self._sending = threading.Lock()  # a job's threads may report at the same time
        self._garbled = False
        self.closed = False

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """A channel, and the socket for the other side."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        return cls(ours), theirs

    @classmethod
    def from_descriptor(cls, descriptor: int) -> Channel:
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> bool:
        """Send a message, with up to 16 descriptors. False when the other side is gone or does not read."""
        if self.closed:
            return False
        text = "".join(_in_pieces(message, 0)) if _in_pieces else _plain.encode(message)
        data = text.encode() + b"\n"
        with self._sending:
            try:
                if descriptors:
                    data = data[socket.send_fds(self._socket, [data], descriptors) :]
                while data:
                    data = data[self._send_some(data) :]
            except OSError:
                self.closed = True
        return not self.closed

    def receive(self) -> Message | None:
        """The next message, waiting for it; None when the other side is gone."""
        while not self._messages:
            if not self._read(0):
                return None
        return self._messages.popleft()

    def wait_for_message(self, seconds: float) -> Message | None:
        """The next message; None when none came in time or the other side is gone."""
        if not self._messages and not select.select([self._socket], [], [], seconds)[0]:
            return None
        return self.receive()

    def received(self) -> list[Message]:
        """The messages that are there, without waiting. ``closed`` tells whether more can come.

        That nothing can be sent any more is no reason not to read what the other side said before it left.
        """
        while self._read(_NO_WAIT) == _CHUNK:
            pass
        messages = list(self._messages)
        self._messages.clear()
        return messages

    def take_descriptors(self) -> list[int]:
        """The descriptors of the next message that was sent with some. Fewer than were sent, or none, when this
        process may not have so many open."""
        return self._descriptors.popleft()

    def close(self) -> None:
        """Close this end, and the descriptors that came over it and were not taken."""
        self.closed = True
        self._socket.close()
        while self._descriptors:
            for descriptor in self._descriptors.popleft():
                os.close(descriptor)

    def _send_some(self, data: bytes) -> int:
        try:
            return self._socket.send(data, _SEND_NO_WAIT)
        except BlockingIOError:
            if not select.select([], [self._socket], [], _PATIENCE)[1]:
                raise TimeoutError("the other side does not read") from None
            return 0

    def _read(self, flags: int) -> int:
        """Read what is there; the number of bytes. Fewer than asked for: there is no more at the moment."""
        try:
            # Not socket.recv_fds: it takes flags and ignores them (Python 3.11).
            data, ancillary, told, _ = self._socket.recvmsg(_CHUNK, _ANCILLARY, _CLOEXEC | flags)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            data, ancillary, told = b"", [], 0
        # The descriptors of two messages never come together (unix(7)), and where all are lost nothing is here.
        for level, kind, payload in ancillary or ([_NONE_ARRIVED] if told & _TRUNCATED else []):
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._descriptors.append(list(array("i", payload)))
        if not data:
            self.closed = True
            return 0
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._take(line)
        return len(data)

    def _take(self, line: bytes) -> None:
        """A job's own code can write to its channel: from then on nothing is believed that comes over it."""
        try:
            message = _decode(line.decode())[0]
        except (ValueError, RecursionError):
            message = None
        if isinstance(message, dict) and not self._garbled:
            self._messages.append(message)
        else:
            self._garbled = self.closed = True
