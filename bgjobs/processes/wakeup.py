"""Signals that end a ``select``: Python writes a byte to a pipe, and the loop does the rest."""

from __future__ import annotations

import contextlib
import os
import signal


class Wakeup:
    """A pipe that becomes readable when the process got a signal that it handles."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def fileno(self) -> int:
        return self._reader

    def drain(self) -> None:
        """Empty the pipe before looking at what the signals were for."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass

    def close(self) -> None:
        """In the child of a fork: leave the signals of the parent alone."""
        signal.set_wakeup_fd(-1)
        os.close(self._reader)
        os.close(self._writer)
