"""What comes over the feed: asked for once, answered once, and nothing that the database would not take."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bgjobs.processes.channel import Channel
from bgjobs.supervisor import feed as feeds
from bgjobs.supervisor.feed import Feed, can_be_fed
from bgjobs.supervisor.sockets import address_in

TOKEN = "0123456789abcdef" * 2


class Table:
    """A feed, and the connections of its workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._selector = selectors.DefaultSelector()
        self.feed = Feed(self._folder, self._selector)
        self.feed.open()
        self.ends: list[Channel] = []

    def worker(self, pid: int = 1, slots: int = 2) -> Channel:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with address_in(self._folder, feeds.NAME) as address:
            end.connect(address)
        self.ends.append(Channel(end))
        self.ends[-1].send({"worker": pid, "slots": slots})
        self.hear()
        return self.ends[-1]

    def ask(self, worker: Channel, job: object = 1, token: object = TOKEN) -> None:
        worker.send({"job": job, "token": token})
        self.hear()

    def hear(self) -> None:
        while ready := self._selector.select(0):
            for key, _ in ready:
                key.data()

    def close(self) -> None:
        self.feed.close()
        for end in self.ends:
            end.close()
        self._selector.close()


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    table = Table(tmp_path)
    yield table
    table.close()
    assert not os.path.exists(tmp_path / feeds.NAME)


def answers(worker: Channel) -> list[object]:
    return [message["done"] for message in worker.received()]


def test_the_answer_comes_when_the_job_has_ended(table: Table) -> None:
    worker = table.worker()
    table.ask(worker)
    assert table.feed.first(5) == [(1, TOKEN)]
    table.feed.answer(running=[])  # nobody has tried to claim it yet
    assert answers(worker) == []
    table.feed.tried([(1, TOKEN)])
    assert not table.feed.has_new
    table.feed.answer(running=[TOKEN])
    assert answers(worker) == []
    table.feed.answer(running=[])
    assert answers(worker) == [1]
    table.feed.answer(running=[])
    assert answers(worker) == []


def test_the_second_of_two_equal_messages_is_answered_at_once(table: Table) -> None:
    first, second = table.worker(), table.worker()
    table.ask(first)
    table.ask(second)
    assert (answers(first), answers(second)) == ([], [1])
    assert table.feed.first(5) == [(1, TOKEN)]


def test_what_a_worker_asked_for_that_is_gone_is_forgotten(table: Table) -> None:
    worker = table.worker()
    table.ask(worker)
    worker.close()
    table.hear()
    assert not table.feed.has_new
    assert not table.feed.is_attended
    again = table.worker()
    table.ask(again)
    assert table.feed.has_new


def test_each_worker_counts_once_however_many_connections_it_has(table: Table) -> None:
    for pid in (1, 1, 2):
        table.worker(pid, slots=3)
    assert table.feed.slots == 6
    table.ends[2].close()
    table.hear()
    assert table.feed.slots == 3


@pytest.mark.parametrize(
    ("job", "token"),
    [(True, TOKEN), (0, TOKEN), (-1, TOKEN), (2**63, TOKEN), ("1", TOKEN), (1, ""), (1, None), (1, TOKEN + "\n")],
)
def test_what_names_no_job_is_answered_and_not_claimed(table: Table, job: object, token: object) -> None:
    """One value that the database refuses would be in the way of all others."""
    worker = table.worker()
    assert not can_be_fed(job, token)
    table.ask(worker, job, token)
    assert (answers(worker), table.feed.has_new) == ([0], False)


@pytest.mark.parametrize(
    "message", [{}, {"slots": "4", "worker": 1}, {"token": TOKEN}, {"worker": 1, "slots": -3}]
)
def test_what_is_no_message_changes_nothing(table: Table, message: dict[str, object]) -> None:
    worker = table.worker(slots=2)
    worker.send(message)
    table.hear()
    assert (answers(worker), table.feed.has_new) == ([], False)
    assert table.feed.slots in (0, 2)
