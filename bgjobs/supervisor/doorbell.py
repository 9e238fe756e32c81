"""The doorbell: a byte that wakes the supervisor. A hint only; the database is the truth.

A Unix datagram socket in the state folder. That somebody listens is also the sign that a supervisor lives:
the kernel refuses the byte when the listener is gone.
"""

from __future__ import annotations

import contextlib
import os
import socket

from bgjobs.supervisor.sockets import address_in

SUPERVISOR = "bell"
DISPATCHER = "dispatcher-bell"
"""The bell of the process that publishes jobs, where there is one on this host."""
# Rings that are taken in at once: more than the kernel lets wait, and an end for who rings without a pause.
_MOST_RINGS = 1000


class Doorbell:
    """The side of who is woken."""

    def __init__(self, folder: str, name: str = SUPERVISOR) -> None:
        self._folder = folder
        self._name = name
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Listen. Only the holder of the supervisor's lock does, so a socket that lies there is a dead one's."""
        with address_in(self._folder, self._name) as address:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._folder, self._name))
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.bind(address)
        self._socket.setblocking(False)

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def silence(self) -> None:
        """Take in what has been rung so far."""
        assert self._socket is not None
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MOST_RINGS):
                self._socket.recv(16)

    def close(self) -> None:
        """Stop listening: from now on who rings knows that nobody is there."""
        if self._socket is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._folder, self._name))
            self._socket.close()
            self._socket = None


def ring(folder: str, name: str = SUPERVISOR) -> bool:
    """Wake the supervisor of this state folder, or who else listens. False when there is none."""
    with address_in(folder, name) as address, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.setblocking(False)
        try:
            bell.sendto(b"!", address)
        except BlockingIOError:
            return True  # its queue is full of rings: it is there and will look
        except OSError:
            return False
    return True
