"""The doorbell of PostgreSQL: it rings at the commit of whatever a supervisor should know of, and only then."""

from __future__ import annotations

import selectors
import time
from datetime import UTC, datetime

import pytest
from databases import administering
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from bgjobs import killing, pausing
from bgjobs.notify import ring_at_commit
from bgjobs.runner.outcome import Outcome
from bgjobs.servers import connect_arguments
from bgjobs.store import NewJob
from bgjobs.supervisor import listener
from bgjobs.supervisor.listener import Listener

on_postgresql = pytest.mark.parametrize("store", ["postgresql"], indirect=True)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SEAT = {"host": "h", "boot_id": "b", "pid_namespace": "n", "pid": 4711, "process_started": "99"}


class Ear:
    """A listener, and how often it was rung."""

    def __init__(self, url):
        self.rings = 0
        self.selector = selectors.DefaultSelector()
        self.listener = Listener(url, self.selector, self.ring)
        self.listener.keep_up()

    def ring(self):
        self.rings += 1

    def hear(self, seconds=0.0):
        for key, _ in self.selector.select(seconds):
            key.data()

    def hears(self, seconds=10.0):
        """Whether it is rung within that time."""
        before, deadline = self.rings, time.monotonic() + seconds
        while self.rings == before and (left := deadline - time.monotonic()) > 0:
            self.hear(left)
        return self.rings > before


@pytest.fixture
def ear(store):
    ear = Ear(store.database.url)
    yield ear
    ear.listener.close()
    ear.selector.close()


def new_job():
    return NewJob("app.Job", "run", {}, NOW, "default", 0, 0, 3, 5.0, None)


def enqueued(store):
    with store.changing() as changes:
        return changes.enqueue_all([new_job()])[0]


def running(store):
    job_id = enqueued(store)
    with store.changing() as changes:
        changes.claim([SEAT], backend="local", job_ids=[job_id])
    return job_id


def failed(store):
    job_id = enqueued(store)
    with store.changing() as changes:
        (job,) = changes.claim([SEAT], backend="local", job_ids=[job_id])
        changes.finish([(job, Outcome("failed", exception_type="E"))])
    return job_id


def paused(store):
    job_id = running(store)
    pausing.pause(store, job_id)
    return job_id


WAYS = {
    "enqueue": (lambda store: None, lambda store, _: enqueued(store)),
    "retry": (failed, lambda store, job_id: store.retry(job_id)),
    "cancel": (running, lambda store, job_id: store.cancel(job_id)),
    "kill": (running, lambda store, job_id: killing.kill(store, job_id)),
    "pause": (running, lambda store, job_id: pausing.pause(store, job_id)),
    "resume": (paused, lambda store, job_id: pausing.resume(store, job_id)),
    "resume a queue": (
        lambda store: pausing.pause_queue(store, "mail"),
        lambda store, _: pausing.resume_queue(store, "mail"),
    ),
}


@on_postgresql
@pytest.mark.parametrize(("before", "do"), WAYS.values(), ids=WAYS.keys())
def test_what_a_supervisor_should_know_rings(store, ear, before, do):
    about = before(store)
    assert ear.rings == 1  # when it began to listen: something may have been rung before
    ear.listener.close()
    ear.listener.keep_up()
    do(store, about)
    assert ear.hears()


@on_postgresql
def test_what_is_rolled_back_does_not_ring_and_many_jobs_ring_once(store, ear):
    with pytest.raises(ZeroDivisionError), store.changing() as changes:
        changes.enqueue_all([new_job()])
        raise ZeroDivisionError
    with store.changing() as changes:
        changes.enqueue_all([new_job() for _ in range(10)])
        changes.enqueue_all([new_job()])
    assert ear.hears()
    ear.hear()
    assert ear.rings == 2  # at its beginning, and now


@on_postgresql
def test_a_connection_that_was_lost_is_opened_again(store, ear, monkeypatch):
    pid = ear.listener._connection.info.backend_pid
    with administering("postgresql") as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    deadline = time.monotonic() + 10
    while ear.listener.is_open:
        assert time.monotonic() < deadline
        ear.hear(1)
    ear.listener.keep_up()
    assert not ear.listener.is_open, "it waits a little"
    monkeypatch.setattr(listener.time, "monotonic", lambda: time.perf_counter() + 1e9)
    ear.listener.keep_up()
    assert ear.listener.is_open
    monkeypatch.undo()
    enqueued(store)
    assert ear.hears()


def test_without_a_server_it_tries_less_and_less_often(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(listener.time, "monotonic", lambda: now[0])
    ear = Ear(make_url("postgresql+psycopg://nobody@127.0.0.1:1/nothing"))
    tries = []
    try_later = Listener._try_later
    monkeypatch.setattr(Listener, "_try_later", lambda self: (tries.append(now[0]), try_later(self)))
    for second in range(1, 120):
        now[0] = float(second)
        ear.listener.keep_up()
    assert tries == [1, 3, 7, 15, 31, 61, 91]
    ear.selector.close()


@pytest.mark.parametrize("url", ["sqlite:////nowhere.db", "mariadb+pymysql://nobody@127.0.0.1:1/nothing"])
def test_elsewhere_nobody_listens(url):
    ear = Ear(make_url(url))
    assert not ear.listener.is_open
    ear.listener.close()
    ear.selector.close()


def test_any_driver_of_the_application_will_do():
    url = make_url("postgresql+psycopg2://me:secret@db:5433/shop?connect_timeout=9&sslmode=require")
    arguments, options = listener._arguments_of(url)
    assert arguments == []
    assert (options["host"], options["port"]) == ("db", 5433)
    assert (options["dbname"], options["user"], options["password"]) == ("shop", "me", "secret")
    assert (options["sslmode"], options["connect_timeout"]) == ("require", 2)


def test_what_the_url_says_goes_before():
    assert connect_arguments(make_url("postgresql+psycopg://db/shop"))["connect_timeout"] == 5
    assert "connect_timeout" not in connect_arguments(make_url("postgresql+psycopg://db/shop?connect_timeout=60"))
    assert connect_arguments(make_url("postgresql+asyncpg://db/shop")) == {}


@on_postgresql
def test_a_transaction_that_is_to_be_prepared_does_not_ring(store, ear):
    """PostgreSQL would refuse to prepare it."""
    engine = create_engine(store.database.url)
    with engine.connect() as connection, connection.begin_twophase() as transaction:
        ring_at_commit(connection)
        transaction.rollback()
    with engine.begin() as connection:
        ring_at_commit(connection)
    engine.dispose()
    assert ear.hears()


LIMITS = {
    "postgresql": (
        "SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')",
        ("5s", "5s"),
    ),
    "mariadb": ("SELECT @@innodb_lock_wait_timeout, @@idle_write_transaction_timeout", (5, 5)),
}


@pytest.mark.parametrize("store", LIMITS, indirect=True)
def test_a_transaction_that_stands_still_lets_go_of_its_locks(store):
    """That of a host that is cut off: others want to recover its jobs."""
    question, limits = LIMITS[store.database.url.get_backend_name()]
    for _ in range(2):  # on a new connection, and on one that was used before
        with store.database.writing() as connection:
            assert tuple(connection.execute(text(question)).one()) == limits


@on_postgresql
def test_what_only_reads_is_not_limited(store):
    with store.database.writing(), store.database.reading() as connection:
        assert tuple(connection.execute(text(LIMITS["postgresql"][0])).one()) == ("0", "0")
