"""What an attempt printed, as this host can read it: its file where that lies here, else what the database has."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from bgjobs import output_store
from bgjobs.database import Database
from bgjobs.output import unfinished_character
from bgjobs.state_folder import StateFolder


class Printed(Protocol):
    """Bytes from the place ``begins`` on to the place ``size``; before that nothing was kept."""

    @property
    def begins(self) -> int: ...

    @property
    def size(self) -> int: ...

    def read(self, place: int, most: int) -> tuple[bytes, int]:
        """What follows ``place``, up to ``most`` bytes, and the size at that moment."""
        ...


@dataclass(frozen=True, slots=True)
class PrintedFile:
    """An output that lies on this host. One that is not there is empty."""

    path: str
    begins: int = 0

    @property
    def size(self) -> int:
        try:
            return os.path.getsize(self.path)
        except OSError:
            return 0

    def read(self, place: int, most: int) -> tuple[bytes, int]:
        try:
            with open(self.path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(place)
                return file.read(most), size
        except OSError:
            return b"", 0


@dataclass(frozen=True, slots=True)
class PrintedElsewhere:
    """An output of which the database has the end."""

    database: Database
    job_id: int
    attempt: int
    begins: int
    size: int

    def read(self, place: int, most: int) -> tuple[bytes, int]:
        with self.database.reading() as connection:
            return output_store.read(connection, self.job_id, self.attempt, place, most), self.size


def printed_by(
    database: Database, folder: StateFolder, job_id: int, attempts: Iterable[int]
) -> dict[int, Printed]:
    """What each of these attempts of a job printed, by its number."""
    files = {number: PrintedFile(folder.output_file(job_id, number)) for number in attempts}
    found: dict[int, Printed] = {**files}
    if all(os.path.exists(file.path) for file in files.values()):
        return found
    with database.reading() as connection:
        extents = output_store.extents(connection, job_id)
    for number, (begins, size) in extents.items():
        if number in files and not os.path.exists(files[number].path):
            found[number] = PrintedElsewhere(database, job_id, number, begins, size)
    return found


def text_from(printed: Printed, offset: int, most: int) -> tuple[str, int]:
    """Text from ``offset`` bytes on, at most ``most`` bytes, and the offset to go on from.

    An output that is shorter than ``offset`` was trimmed in between: it is read from its beginning. A character
    of which only a part is there yet is left for the next time.
    """
    start = max(printed.begins, 0 if offset > printed.size else offset)
    data, _ = printed.read(start, most)
    data = data[: len(data) - unfinished_character(data)] or data
    return data.decode("utf-8", "backslashreplace"), start + len(data)
