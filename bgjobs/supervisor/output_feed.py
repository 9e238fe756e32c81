"""Brings what running jobs print from their files into the database, for dashboards on other hosts."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection
from dataclasses import dataclass

from bgjobs.output import LEFT_OUT, unfinished_character
from bgjobs.output_store import KEPT, PIECE, Printed, cut, readable
from bgjobs.runner.outcome import Execution
from bgjobs.state_folder import StateFolder
from bgjobs.supervisor.running import RunningJob

INTERVAL = 1.0
# Bytes that are read at one look, of all jobs together, so that no turn of the supervisor gets long.
_AT_ONCE = 1024 * 1024
# So many looks may leave a piece of their own each; then they are put together.
_MOST_LOOSE = 16


@dataclass(slots=True)
class _Track:
    """How far the output of an execution was brought."""

    offset: int = 0  # in the file
    place: int = 0  # in what is stored
    open_since: int = 0  # where the pieces begin that may still be put together
    open_text: bytes = b""
    loose: int = 0
    begins: int = 0  # no piece before this place is kept
    begins_anew: bool = False  # another supervisor stored some, and how far it came is not known
    is_given_up: bool = False


class OutputFeed:
    """The output of every execution, from its first second to its end."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._tracks: dict[str, _Track] = {}  # by execution token
        self._next_look_at = 0.0

    def take(self, running: Collection[RunningJob], now: float | None = None) -> list[Printed]:
        """What was printed since the last look; mostly it is not time for one."""
        now = time.monotonic() if now is None else now
        if now < self._next_look_at:
            return []
        self._next_look_at = now + INTERVAL
        share = max(PIECE, _AT_ONCE // max(1, len(running)))
        found = [self._read(item.job, share, adopted=item.process is None) for item in running]
        return [item for item in found if item is not None]

    def rest(self, job: Execution) -> list[Printed]:
        """What is left to bring of an execution that has ended; nothing the second time."""
        found = self._read(job, KEPT, is_over=True)
        return [] if found is None else [found]

    def trimmed(self, job: Execution, by: int) -> None:
        """The file is shorter by so many bytes, which were missing from its beginning."""
        track = self._tracks.get(job.token)
        if track is None or not by:
            return
        kept_from = by + len(LEFT_OUT)
        if track.offset < kept_from:
            self._skip(track, kept_from - track.offset)
        track.offset -= by

    def give_up(self, job: Execution) -> None:
        """The database does not take what this execution prints; the rest is not brought."""
        self._track_of(job).is_given_up = True

    def forget(self, token: str) -> None:
        """An execution whose end is on record."""
        self._tracks.pop(token, None)

    def _track_of(self, job: Execution, *, adopted: bool = False) -> _Track:
        return self._tracks.setdefault(job.token, _Track(begins_anew=adopted))

    def _read(self, job: Execution, most: int, *, adopted: bool = False, is_over: bool = False) -> Printed | None:
        track = self._track_of(job, adopted=adopted)
        if track.is_given_up:
            return None
        data = b""
        with contextlib.suppress(OSError), open(self._folder.output_file(job.id, job.attempt), "rb") as file:
            unread = file.seek(0, os.SEEK_END) - track.offset
            if unread > KEPT:
                self._skip(track, unread - KEPT)
            file.seek(track.offset)
            data = file.read(most)
            if unread > KEPT:  # the line that was met in its middle is left out, too
                self._skip(track, rest := data.find(b"\n") + 1)
                data = data[rest:]
        if not is_over:
            data = data[: len(data) - unfinished_character(data)]
        return _stored(job, track, data) if data or track.begins_anew else None

    @staticmethod
    def _skip(track: _Track, by: int) -> None:
        """Leave out bytes. What was stored before them is not kept: an output has no holes."""
        track.offset += by
        track.place += by
        track.begins = track.open_since = track.place
        track.open_text, track.loose = b"", 0


def _stored(job: Execution, track: _Track, data: bytes) -> Printed:
    """The pieces that ``data`` becomes. What was read before is put together with it where there are too many."""
    text = readable(data).encode()
    since, place = (0 if track.begins_anew else None), track.place
    track.begins_anew = False
    track.offset += len(data)
    track.place += len(text)
    track.open_text += text
    track.loose += 1
    is_full = len(track.open_text) >= PIECE
    if track.loose > 1 and (is_full or track.loose > _MOST_LOOSE):
        since, place, text = track.open_since, track.open_since, track.open_text
        track.loose = 1
    pieces = []
    for piece in cut(text):
        pieces.append((place, piece.decode()))
        place += len(piece)
    if is_full:
        track.open_since, track.open_text, track.loose = track.place, b"", 0
    track.begins = max(track.begins, track.place - KEPT)
    return Printed(job, [piece for piece in pieces if piece[0] >= track.begins], since, track.begins)
