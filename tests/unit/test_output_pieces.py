"""What attempts print, brought into the database in pieces: bounded, without holes, whatever the bytes are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from databases import only_on_sqlite

from bgjobs import output_store
from bgjobs.lookups import jobs
from bgjobs.output import LEFT_OUT, trim
from bgjobs.output_store import KEPT, PIECE, Printed, cut, readable
from bgjobs.printed import PrintedElsewhere, printed_by, text_from
from bgjobs.processes.identity import own_identity
from bgjobs.removal import remove_chunk
from bgjobs.runner.outcome import Execution
from bgjobs.state_folder import StateFolder
from bgjobs.store import NewJob, Store
from bgjobs.supervisor.output_feed import OutputFeed
from bgjobs.supervisor.running import RunningJob

LINE = b"x" * 99 + b"\n"


def claimed(store: Store) -> Execution:
    """A job that runs."""
    with store.changing() as changes:
        new = NewJob("app.Report", "write", {}, datetime.now(UTC), "default", 0, 0, 3, 5.0, None)
        ids = changes.enqueue_all([new])
        return changes.claim([own_identity().columns()], backend="local", job_ids=ids)[0]


class Job:
    """A running job, its output, and its supervisor's feed."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, StateFolder(str(folder)).prepare()
        self.job = claimed(store)
        self.path = Path(self.folder.output_file(self.job.id, self.job.attempt))
        self.feed = OutputFeed(self.folder)
        self.running = RunningJob(self.job, own_identity(), object(), None)  # type: ignore[arg-type]
        self.seconds = 0.0
        self.path.touch()

    def prints(self, data: bytes) -> None:
        with open(self.path, "ab") as file:
            file.write(data)

    def look(self) -> list[Printed]:
        """What a supervisor does once a second."""
        self.seconds += 1
        return self.written(self.feed.take([self.running], self.seconds))

    def end(self) -> None:
        self.written(self.feed.rest(self.job))

    def written(self, news: list[Printed]) -> list[Printed]:
        with self.store.database.writing() as connection:
            output_store.write(connection, news)
        return news

    def another_supervisor(self) -> None:
        self.feed, self.seconds = OutputFeed(self.folder), 0.0
        self.running.process = None

    def pieces(self) -> list[tuple[int, str]]:
        with self.store.database.reading() as connection:
            c = output_store.outputs.c
            rows = connection.execute(output_store.outputs.select().order_by(c.position)).all()
        return [(row.position, row.content) for row in rows if row.background_job_id == self.job.id]

    def elsewhere(self) -> PrintedElsewhere | None:
        """The output as another host has it."""
        with self.store.database.reading() as connection:
            found = output_store.extents(connection, self.job.id).get(self.job.attempt)
        return found and PrintedElsewhere(self.store.database, self.job.id, self.job.attempt, *found)

    def text(self) -> str:
        printed = self.elsewhere()
        assert printed is not None
        data, size = printed.read(printed.begins, 10 * KEPT)
        assert printed.begins + len(data) == size
        return data.decode()


@pytest.fixture
def job(store: Store, tmp_path: Path) -> Job:
    return Job(store, tmp_path / "state")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\n", "plain\n"),
        ("café ☕ 🎉\n".encode(), "café ☕ 🎉\n"),
        (b"a\0b\n", "a\\x00b\n"),
        (b"\xff\xfe\xc3(\n", "\\xff\\xfe\\xc3(\n"),
        (b"\x1b[31mred\x07\r\n", "\x1b[31mred\x07\r\n"),
    ],
)
def test_whatever_the_bytes_are(job: Job, data: bytes, text: str) -> None:
    job.prints(data)
    job.look()
    job.prints(data)
    job.end()
    assert job.text() == text * 2


def test_what_is_new_comes_with_the_next_look(job: Job) -> None:
    job.prints(b"one\n")
    job.look()
    assert job.text() == "one\n"
    assert job.look() == []
    job.prints(b"two\nthr")
    job.look()
    assert job.pieces() == [(0, "one\n"), (4, "two\nthr")]
    job.prints(b"ee\n")
    job.end()
    assert job.text() == "one\ntwo\nthree\n"


def test_a_character_that_is_not_whole_yet_waits(job: Job) -> None:
    job.prints(b"caf\xc3")
    job.look()
    assert job.text() == "caf"
    job.prints(b"\xa9")
    job.look()
    assert job.text() == "café"
    job.prints(b"\xc3")
    job.end()
    assert job.text() == "café\\xc3"


def test_many_small_prints_are_put_together(job: Job) -> None:
    for number in range(100):
        job.prints(f"line {number:04}\n".encode() * 10)
        job.look()
    job.end()
    assert job.text() == "".join(f"line {number:04}\n" * 10 for number in range(100))
    assert len(job.pieces()) <= 20
    assert all(len(text.encode()) <= PIECE for _, text in job.pieces())


def test_the_newest_stay(job: Job) -> None:
    for _ in range(40):
        job.prints(LINE * 100)
        job.look()
    job.prints(b"the end\n")
    job.end()
    kept = job.text()
    assert KEPT - PIECE <= len(kept) <= KEPT
    assert kept.endswith("x\nthe end\n")
    printed = job.elsewhere()
    assert printed is not None
    assert printed.size == 40 * 100 * len(LINE) + 8


def test_a_burst_is_bounded_and_is_not_read_whole(job: Job) -> None:
    job.prints(b"before\n")
    job.look()
    with open(job.path, "r+b") as file:
        file.truncate(2**30)  # a gigabyte of nothing
    job.prints(b"\n" + LINE * 100)
    (news,) = job.look()
    assert sum(len(text) for _, text in news.pieces) <= KEPT * 4  # \x00 is four
    job.end()
    assert job.text().endswith(LINE.decode() * 100)
    assert len(job.text()) <= KEPT + PIECE
    printed = job.elsewhere()
    assert printed is not None
    assert printed.size > 2**30


def test_bytes_that_are_written_longer_than_they_are(job: Job) -> None:
    job.prints((b"\0" * 99 + b"\n") * 2000)
    job.look()
    assert KEPT - PIECE <= len(job.text()) <= KEPT


@pytest.mark.parametrize("seen", [0, 1000, 5000, 9000, 10_000])
def test_a_file_that_is_trimmed_meanwhile(job: Job, seen: int) -> None:
    lines = b"".join(b"line %05d\n" % number for number in range(1000))
    job.prints(lines[:seen])
    job.look()
    job.prints(lines[seen:])
    job.feed.trimmed(job.job, trim(str(job.path), 4000))
    job.prints(b"after\n")
    job.look()
    text = job.text()
    assert text.endswith("line 00999\nafter\n")
    numbers = [int(line.split()[1]) for line in text.splitlines()[:-1] if line.startswith("line")]
    assert numbers == list(range(numbers[0], 1000)), "no hole, and nothing twice"
    assert LEFT_OUT.decode() not in text or not seen


def test_another_supervisor_goes_on_with_it(job: Job) -> None:
    job.prints(b"one\n\0\n")
    job.look()
    job.prints(b"two\n")
    job.another_supervisor()
    job.look()
    job.prints(b"three\n")
    job.end()
    assert job.text() == "one\n\\x00\ntwo\nthree\n"


def test_nothing_is_written_for_an_execution_that_is_not_the_current_one(job: Job) -> None:
    with job.store.database.writing() as connection:
        connection.execute(jobs.update().where(jobs.c.id == job.job.id).values(execution_token="another"))
    job.prints(b"late\n")
    job.look()
    assert job.elsewhere() is None


def test_what_the_database_does_not_take_is_given_up(job: Job) -> None:
    job.prints(b"one\n")
    job.look()
    job.feed.give_up(job.job)
    job.prints(b"two\n")
    assert job.look() == []
    assert job.text() == "one\n"


def test_it_goes_with_its_job(job: Job) -> None:
    job.prints(b"one\n")
    job.look()
    with job.store.database.writing() as connection:
        connection.execute(jobs.update().where(jobs.c.id == job.job.id).values(status="completed"))
    remove_chunk(job.store, job.folder, [job.job.id])
    assert job.pieces() == []


def test_the_file_is_read_where_it_lies_here(job: Job, tmp_path: Path) -> None:
    job.prints("one ☕\n".encode())
    job.look()
    here = printed_by(job.store.database, job.folder, job.job.id, [1, 2])
    assert text_from(here[1], 0, 100) == ("one ☕\n", 8)
    assert not isinstance(here[1], PrintedElsewhere)
    there = printed_by(job.store.database, StateFolder(str(tmp_path / "other")), job.job.id, [1, 2])
    assert isinstance(there[1], PrintedElsewhere)
    assert text_from(there[1], 0, 6) == ("one ", 4)
    assert text_from(there[1], 4, 100) == ("☕\n", 8)
    assert text_from(there[2], 0, 100) == ("", 0)


@only_on_sqlite
def test_pieces_that_somebody_edited(job: Job) -> None:
    job.prints(b"one\n")
    job.look()
    with job.store.database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO job_outputs VALUES (90, 1, 'x', 'y', 'z'), (91, 1, 1, 4, x'ff00')")
        connection.exec_driver_sql("INSERT INTO job_outputs VALUES (92, 1, 1, 'far', 'away')")
        connection.exec_driver_sql("INSERT INTO job_outputs VALUES (93, 1, 2, 'far', 'away')")
    for printed in printed_by(job.store.database, StateFolder("/nowhere"), job.job.id, [1, 2]).values():
        text_from(printed, 0, 1000)


@pytest.mark.parametrize("data", [b"", LINE, LINE * 1000, b"y" * 50_000, "☕".encode() * 20_000])
def test_pieces_together_are_the_whole(data: bytes) -> None:
    pieces = list(cut(readable(data).encode()))
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    assert "".join(piece.decode() for piece in pieces) == data.decode(), "none is cut within a character"
