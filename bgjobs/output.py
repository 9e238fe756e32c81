"""The output of an attempt: one file, written by the job's own descriptors, capped by the supervisor."""

from __future__ import annotations

import contextlib
import os

LEFT_OUT = b"[older output was left out]\n"


def open_output(path: str) -> int:
    """A descriptor to which an attempt writes. Raises :class:`OSError`."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def remove_if_empty(path: str) -> None:
    """Most jobs print nothing; their files need not stay."""
    with contextlib.suppress(OSError):
        if os.stat(path).st_size == 0:
            os.unlink(path)


def read_from(path: str, offset: int, most: int) -> tuple[str, int]:
    """Text from ``offset`` bytes on, at most ``most`` bytes, and the offset to go on from.

    A file that is shorter than ``offset`` was trimmed in between: it is read from its beginning.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0 if offset > size else offset)
            data = file.read(most)
            return data.decode("utf-8", "backslashreplace"), file.tell()
    except FileNotFoundError:
        return "", 0


def read_tail(path: str, most: int) -> str:
    """The last ``most`` bytes as text."""
    with contextlib.suppress(OSError):
        return read_from(path, max(0, os.path.getsize(path) - most), most)[0]
    return ""


def trim(path: str, most: int, *, when_over: int | None = None) -> None:
    """Shorten a file that is longer than ``when_over`` (or ``most``) to its newest ``most`` bytes, in place,
    because a process may still write to it.

    What it writes in this very moment may be lost; its later lines follow where the file ends then.
    """
    with contextlib.suppress(OSError), open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size <= (when_over or most):
            return
        file.seek(size - most + len(LEFT_OUT))
        newest = file.read(most - len(LEFT_OUT))
        file.seek(0)
        file.write(LEFT_OUT + newest.partition(b"\n")[2])
        file.truncate()
