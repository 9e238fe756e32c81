"""What an attempt printed, made fit to be shown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from bgjobs.output import read_tail
from bgjobs.redaction import Redactor, escape_lines

SHOWN = 32 * 1024
"""Bytes of output on a page: the newest ones. The whole of it has an address of its own."""
_WHOLE = 4 * 1024 * 1024

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Transcript:
    """The output of one attempt, or its end."""

    text: str
    is_cut: bool


def tail(path: str, redactor: Redactor, secrets: Iterable[str]) -> Transcript | None:
    """The end of the output in ``path``; None where there is none."""
    text = read_tail(path, SHOWN)
    if not text:
        return None
    is_cut = size_of(path) > SHOWN
    if is_cut:
        # The first line is a rest of one, and what is cut in two is not known to be a secret.
        text = text.partition("\n")[2]
    return Transcript(_shown(text, redactor, secrets), is_cut)


def whole(path: str, redactor: Redactor, secrets: Iterable[str]) -> str:
    """All of the output in ``path``, up to 4 MiB."""
    return _shown(read_tail(path, _WHOLE), redactor, secrets)


def size_of(path: str) -> int:
    """The bytes of the output in ``path``, 0 where there is none. It tells whether there is news."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _shown(text: str, redactor: Redactor, secrets: Iterable[str]) -> str:
    masked = redactor.text(_COLOURS.sub("", text), secrets)
    return escape_lines("\n".join(map(_as_a_terminal_would, masked.split("\n"))))


def _as_a_terminal_would(line: str) -> str:
    """A carriage return begins the line anew: of a progress bar the last state is left."""
    return line.rstrip("\r").rpartition("\r")[2]
