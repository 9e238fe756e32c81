"""The two log files and the console: every wording, and how a record reaches its file.

A record is data first (:class:`LogEntry`). The store writes it to ``job_logs`` with the change it speaks
of; after the commit the logger writes it to the files, in the same words.
"""

from __future__ import annotations

import logging
import os
import platform
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from bgjobs.models import FAILURE, INFO, NAME_LENGTH, SUCCESS
from bgjobs.redaction import escape, json_line, shorten

SUCCESS_FILE = "background_jobs.log"
ERRORS_FILE = "background_jobs_errors.log"
DETAILS_LIMIT = 400
"""Lines of one traceback that go into the file: an exception's own text may have any number of them."""

console = logging.getLogger("bgjobs")


class NamedJob(Protocol):
    """What a wording needs to know of a job: its columns of these names."""

    @property
    def id(self) -> int: ...
    @property
    def class_name(self) -> str: ...
    @property
    def method_name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One record: a row of ``job_logs`` and a line of a log file, plus ``details`` for the file alone."""

    type: str  # success, failure, info
    job_id: int
    class_name: str
    method_name: str
    message: str
    details: Sequence[str] = ()  # lines of a traceback
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def lines(self) -> str:
        """The text for the file: one line, and one more, with a prefix, for each of ``details``."""
        subject = f"{self.type.upper()}: {escape(self.class_name)}::{escape(self.method_name)}"
        head = f"[{self.created_at:%Y-%m-%d %H:%M:%S}] {subject}"
        further = (f"{head} |   {escape(line)}\n" for line in self.details)
        return f"{head} - {self.message}\n{''.join(further)}"


def entry(kind: str, job: NamedJob, message: str, details: Sequence[str] = ()) -> LogEntry:
    """A record about ``job`` with its message made safe: one line, capped."""
    class_name, method_name = (shorten(str(name), NAME_LENGTH) for name in (job.class_name, job.method_name))
    return LogEntry(kind, job.id, class_name, method_name, shorten(escape(message)), details)


def dispatched(job: NamedJob, shown_row: dict[str, Any]) -> list[LogEntry]:
    """The three records of a dispatch. ``shown_row`` is the row as it may be shown: secrets masked."""
    return [
        entry(SUCCESS, job, "Background job initiated"),
        entry(SUCCESS, job, f"Background job dispatched on {platform.system()} platform"),
        entry(SUCCESS, job, json_line(shown_row)),
    ]


def started(job: NamedJob) -> LogEntry:
    return entry(SUCCESS, job, "Background job started")


def completed(job: NamedJob) -> LogEntry:
    return entry(SUCCESS, job, "Background job completed processing")


def failed(job: NamedJob, error: str, attempt: int, attempts: int, traceback: str | None) -> LogEntry:
    """An attempt that failed: ``attempt`` of ``attempts``, the first being 1."""
    return entry(FAILURE, job, f"{error} (attempt {attempt} of {attempts})", _details(traceback))


def retry_scheduled(job: NamedJob, retry: int, retries: int, seconds: float) -> LogEntry:
    return entry(INFO, job, f"Scheduled retry attempt {retry} of {retries} in {seconds:g} s")


def cancelled(job: NamedJob) -> LogEntry:
    return entry(INFO, job, "Background job cancelled")


def cancel_requested(job: NamedJob, grace: float, by: str | None = None) -> LogEntry:
    who = f" by {by}" if by else ""
    return entry(
        INFO, job, f"Background job asked to stop{who}: SIGTERM now, SIGKILL if it still runs in {grace:g} s"
    )


def killed(job: NamedJob, by: str | None) -> LogEntry:
    return entry(INFO, job, f"Background job killed{f' by {by}' if by else ''}: SIGKILL to it and all it started")


def paused(job: NamedJob, by: str | None) -> LogEntry:
    return entry(INFO, job, f"Background job paused{f' by {by}' if by else ''}; its timeout stands still")


def resumed(job: NamedJob, by: str | None) -> LogEntry:
    return entry(INFO, job, f"Background job resumed{f' by {by}' if by else ''}")


def retried_by_hand(job: NamedJob) -> LogEntry:
    return entry(INFO, job, "Background job put back to pending by hand")


def removed(job: NamedJob, by: str | None) -> LogEntry:
    return entry(
        INFO, job, f"Background job {job.id} removed{f' by {by}' if by else ''}, with all that belongs to it"
    )


def moved(job: NamedJob, database: str) -> LogEntry:
    return entry(INFO, job, f"Background job handed over to {database}, where it goes on")


def released(job: NamedJob) -> LogEntry:
    return entry(INFO, job, "Put back to pending before the job was done; that uses no retry")


class CustomLogger:
    """Writes records to ``background_jobs.log`` and ``background_jobs_errors.log`` in ``folder``, and to
    the logger ``bgjobs``.

    SUCCESS and INFO go to the first file, FAILURE with its traceback to the second. Each call is one
    ``write`` a file on a descriptor opened with ``O_APPEND``, so any number of processes may write at once,
    and the file may be rotated or deleted at any time. A log that cannot be written never fails a job: the
    reason goes to the logger, once.
    """

    def __init__(self, folder: str) -> None:
        self._files = {
            kind: _AppendedFile(Path(folder, name))
            for kind, name in ((SUCCESS, SUCCESS_FILE), (INFO, SUCCESS_FILE), (FAILURE, ERRORS_FILE))
        }
        self._files[INFO] = self._files[SUCCESS]

    def write(self, entries: Iterable[LogEntry]) -> None:
        """Write records that were committed to the database."""
        texts: dict[_AppendedFile, list[str]] = {}
        for item in entries:
            text = item.lines()
            texts.setdefault(self._files[item.type], []).append(text)
            level = logging.ERROR if item.type == FAILURE else logging.INFO
            if console.isEnabledFor(level):
                console.log(level, "%s", text.rstrip("\n"))
        for file, parts in texts.items():
            file.append("".join(parts))

    def success(self, job: NamedJob, message: str) -> None:
        """Log a success of ``job`` to the files and the console."""
        self.write([entry(SUCCESS, job, message)])

    def info(self, job: NamedJob, message: str) -> None:
        """Log something worth knowing about ``job`` to the files and the console."""
        self.write([entry(INFO, job, message)])

    def failure(self, job: NamedJob, message: str, traceback: str | None = None) -> None:
        """Log a failure of ``job``, with its traceback, to the errors file and the console."""
        self.write([entry(FAILURE, job, message, _details(traceback))])


def _details(traceback: str | None) -> Sequence[str]:
    """The lines of a traceback; of a very long one both ends, where it began and where it broke."""
    lines = traceback.rstrip("\n").split("\n") if traceback else []
    if len(lines) > DETAILS_LIMIT:
        half = DETAILS_LIMIT // 2
        lines[half:-half] = [f"… ({len(lines) - DETAILS_LIMIT:,} lines left out) …"]
    return lines


class _AppendedFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._complained = False

    def append(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        try:
            # Opened for each write. A descriptor that is kept has to be exchanged when the file is rotated,
            # and another thread may write to its number in that instant, when it stands for another file.
            descriptor = self._open()
            try:
                while data:  # a second round only when the disk is full, to learn that it is
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
            self._complained = False
        except OSError as error:
            if not self._complained:
                console.warning("bgjobs cannot write %s: %s. Jobs go on without it.", self._path, error)
                self._complained = True

    def _open(self) -> int:
        # O_NOFOLLOW: a link put there by somebody else would let us write to any file of ours.
        # O_NONBLOCK: opening a FIFO must not hang; what is not a regular file is refused below.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path, flags, 0o640)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, flags, 0o640)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError("it is not a regular file")
        return descriptor
