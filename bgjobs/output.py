"""The output of an attempt: one file, written by the job's own descriptors, capped by the supervisor."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from typing import Any

LEFT_OUT = b"[older output was left out]\n"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Output(io.FileIO):
    """What finds no room on the disk is left out: what a job prints is worth less than the job."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            return len(data)


def for_jobs(stream: Any) -> Any:
    """Standard output or error as a job is to have it: a line is seen when it is printed, and a print fails the
    job neither for a character nor for a full disk. What the application has put in its place stays."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    try:
        descriptor = stream.fileno()
        stream.flush()
    except (OSError, ValueError):  # closed, or it writes to memory
        return stream
    # Whoever kept the old one prints to the same place.
    stream.reconfigure(line_buffering=True, errors="backslashreplace")
    lasting = io.BufferedWriter(_Output(descriptor, "w", closefd=False))
    return io.TextIOWrapper(lasting, encoding=stream.encoding, errors="backslashreplace", line_buffering=True)


def open_output(path: str) -> int:
    """A descriptor to which an attempt writes. Raises :class:`OSError`."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def remove_if_empty(path: str) -> None:
    """Most jobs print nothing; their files need not stay."""
    try:
        if os.stat(path).st_size == 0:
            os.unlink(path)
    except OSError:
        pass


def read_tail(path: str, most: int) -> str:
    """The last ``most`` bytes as text."""
    return read_end(path, most)[0].decode("utf-8", "backslashreplace")


def read_end(path: str, most: int) -> tuple[bytes, int]:
    """The last ``most`` bytes, and the place of the first of them; nothing where there is no file."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        place = file.seek(max(0, file.seek(0, os.SEEK_END) - most))
        return file.read(most), place
    return b"", 0


def unfinished_character(data: bytes) -> int:
    """How many bytes at the end are the beginning of a UTF-8 character that goes on."""
    for count in range(1, min(4, len(data) + 1)):
        if data[-count] >= 0xC0:  # the first byte of a character of several
            length = 2 if data[-count] < 0xE0 else 3 if data[-count] < 0xF0 else 4
            return count if count < length else 0
        if data[-count] < 0x80:
            break
    return 0


def trim(path: str, most: int, *, when_over: int | None = None) -> int:
    """Shorten a file that is longer than ``when_over`` (or ``most``) to its newest ``most`` bytes, in place,
    because a process may still write to it. Returns by how much it is shorter.

    What it writes in this very moment may be lost; its later lines follow where the file ends then.
    """
    with contextlib.suppress(OSError), open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size <= (when_over or most):
            return 0
        file.seek(size - most + len(LEFT_OUT))
        newest = file.read(most - len(LEFT_OUT))
        file.seek(0)
        file.write(LEFT_OUT + newest.partition(b"\n")[2])
        return size - file.truncate()
    return 0
