"""What an attempt printed, made fit to be shown: its end, what is new of it, or all of it.

It is cut where lines end, because of a secret that is cut in two neither half is known for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace

from bgjobs.output import LEFT_OUT, unfinished_character
from bgjobs.printed import Printed
from bgjobs.redaction import Redactor, escape_lines

SHOWN = 32 * 1024
"""Bytes of output on a page: the newest ones. The whole of it has an address of its own."""
PIECE = 64 * 1024
"""Bytes of output in one answer to a page that follows it."""
TOO_LONG = "[a line too long to be shown here; the download may have it]"
_AT_ONCE = 4 * 1024 * 1024
_LONGEST_HELD = 4096

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_END_OF_LINE = re.compile(rb"[\r\n]+")
_URL_AT_END = re.compile(rb"://\S{0,600}\Z")


@dataclass(frozen=True, slots=True)
class Transcript:
    """A stretch of output. The numbers are places in all that was printed, in bytes.

    ``following`` is where the next stretch begins: at the last line, if that is not finished yet. ``end`` is how
    far this one goes, and ``more`` says that there was more to read at once.
    """

    text: str
    start: int
    following: int
    end: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """The output of an attempt, and what must not be shown of it."""

    printed: Printed
    redactor: Redactor
    secrets: Set[str]

    @property
    def size(self) -> int:
        """Its bytes, 0 where there is none."""
        return self.printed.size


def tail(source: Source, *, goes_on: bool = False) -> Transcript | None:
    """The end of the output; None where there is none."""
    place = where_the_end_begins(source)
    found = stretch(source, place, most=SHOWN, goes_on=goes_on)
    if found.end == 0:
        return None
    return found if found.text or not place else replace(found, text=f"{TOO_LONG}\n")


def where_the_end_begins(source: Source) -> int:
    return max(0, source.size - SHOWN)


def whole(source: Source) -> Iterator[str]:
    """All of the output, piece by piece."""
    place, size = source.printed.begins, source.size
    if place:
        yield LEFT_OUT.decode()
    while place < size:
        found = stretch(source, place, most=_AT_ONCE)
        yield found.text
        if not found.more:
            return
        place = found.following


def stretch(source: Source, place: int, *, most: int = PIECE, goes_on: bool = False) -> Transcript:
    """The output from ``place`` on, up to ``most`` bytes. ``goes_on`` says that somebody still writes to it: then
    what may become a secret is held back."""
    place = max(place, source.printed.begins)
    before, data, size = _read(source.printed, place, most)
    start = place
    if before not in (b"", b"\n", b"\r"):  # within a line, of which we do not know how it began
        first = _END_OF_LINE.search(data)
        dropped = first.end() if first else len(data)
        start, data = place + dropped, data[dropped:]
    if start + len(data) < size:
        return _cut(source, data, place, start)
    if goes_on:
        data = data[: len(data) - _held_back(data, source.secrets)]
    last = data.rfind(b"\n") + 1
    following = start + last + data[last:].rstrip(b"\r").rfind(b"\r") + 1
    return Transcript(_shown(data, source), place, following, start + len(data))


def _cut(source: Source, data: bytes, place: int, start: int) -> Transcript:
    """The part of ``data`` that ends with a line, for there is more."""
    last = data.rfind(b"\n") + 1
    if last:
        end = start + last
        return Transcript(_shown(data[:last], source), place, end, end, more=True)
    # Where a line is written again and again, only its last state would be shown, and that is yet to come. And
    # where another line was dropped before it, more of this one fits into the next stretch.
    again = data[:-1].rfind(b"\r") + 1
    if again or start > place:
        return Transcript("", place, start + again, start + again, more=True)
    return Transcript(f"{TOO_LONG}\n", place, place + len(data), place + len(data), more=True)


def _read(printed: Printed, place: int, most: int) -> tuple[bytes, bytes, int]:
    """The byte before ``place``, what follows it, and the size of all. Of what was not kept nothing is known."""
    begin = max(0, place - 1)
    if begin < printed.begins:
        return b"?", *printed.read(place, most)
    data, size = printed.read(begin, most + place - begin)
    return data[: place - begin], data[place - begin :], size


def _held_back(data: bytes, secrets: Iterable[str]) -> int:
    """How many bytes at the end may be the beginning of a character, of a URL with a password, or of a secret."""
    end = data[-_LONGEST_HELD:]
    url = _URL_AT_END.search(end)
    beginnings = (_beginning_at_end(end, secret.encode("utf-8", "replace")) for secret in secrets)
    return max(unfinished_character(data), len(url[0]) if url else 0, *beginnings, 0)


def _beginning_at_end(data: bytes, secret: bytes) -> int:
    """How many bytes at the end of ``data`` are the first ones of ``secret``, but not all of it."""
    place = data.find(secret[:1], max(0, len(data) - len(secret) + 1))
    while place != -1:
        if secret.startswith(data[place:]):
            return len(data) - place
        place = data.find(secret[:1], place + 1)
    return 0


def _shown(data: bytes, source: Source) -> str:
    text = data.decode("utf-8", "backslashreplace")
    masked = source.redactor.text(_COLOURS.sub("", text), source.secrets)
    return escape_lines("\n".join(map(_as_a_terminal_would, masked.split("\n"))))


def _as_a_terminal_would(line: str) -> str:
    """A carriage return begins the line anew: of a progress bar the last state is left."""
    return line.rstrip("\r").rpartition("\r")[2]
