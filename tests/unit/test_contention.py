"""Many who change the same few jobs at once on a server: nobody is told of a deadlock, and no job is torn.

``BGJOBS_CONTENTION=60`` goes on for as many seconds as are asked for.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from databases import SERVERS, empty
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from bgjobs import run_background_jobs
from bgjobs.app_state import AppState
from bgjobs.by_hand import CANCEL, DELETE, RETRY, act
from bgjobs.database import Database
from bgjobs.database_errors import answering
from bgjobs.deadlocks import outlasting_deadlocks
from bgjobs.exceptions import BackendUnavailable, Deadlock, InvalidTransition, JobNotFound
from bgjobs.lookups import attempts, jobs
from bgjobs.runner.outcome import Execution, Outcome

SECONDS = float(os.environ.get("BGJOBS_CONTENTION", "2"))
SEAT = {"host": "h", "boot_id": "b", "pid_namespace": "n", "pid": 4711, "process_started": "99"}
JOBS = 40  # so few that everybody meets everybody


class Job:
    def run(self) -> None:
        pass


@pytest.fixture(params=SERVERS)
def site(
    request: pytest.FixtureRequest, make_site: Callable[..., Any], servers: Callable[..., Any]
) -> Iterator[Any]:
    url = servers(request.param, "store")
    site = make_site(
        Job, backend="local", max_pending=100_000, database_uri=url.render_as_string(hide_password=False)
    )
    yield site
    empty(site.state.store.database)


@outlasting_deadlocks
def turn(state: AppState, held: list[Execution]) -> list[Execution]:
    """What a supervisor does in one transaction."""
    kinds = [random.choice(("completed", "failed", "released")) for _ in held]
    with state.store.changing() as changes:
        for job in held:
            changes.progress(job, 1, 2, None)
        changes.finish((job, Outcome(kind, retry_in=0.0)) for job, kind in zip(held, kinds, strict=True))
        return changes.claim([SEAT] * 8, backend="local")


class Crowd:
    """Threads that do one of several things each, over and over; what any of them was told."""

    def __init__(self, site: Any) -> None:
        self.site, self.state = site, site.state
        self.told: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self._until = time.monotonic() + SECONDS
        self._ids: list[int] = []

    def run(self) -> None:
        doings = [self.dispatch] * 2 + [self.supervise] * 3 + [self.choose_many] * 4 + [self.choose_one] * 3
        threads = [threading.Thread(target=self.over_and_over, args=[doing()]) for doing in doings]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def over_and_over(self, doing: Iterator[None]) -> None:
        while time.monotonic() < self._until:
            try:
                next(doing)
            except Exception as error:
                self.told[f"{type(error).__name__}: {error}"] += 1
                return
            self.done[doing.__name__] += 1

    def dispatch(self) -> Iterator[None]:
        with self.site.app.app_context():
            while True:
                handles = run_background_jobs([(Job, "run")] * 5)
                self._ids = [*self._ids, *(handle.id for handle in handles)][-JOBS:]
                yield

    def supervise(self) -> Iterator[None]:
        held: list[Execution] = []
        while True:
            held = turn(self.state, held)
            yield

    def choose_many(self) -> Iterator[None]:
        while True:
            some = random.sample(self._ids, min(len(self._ids), 12))
            act(self.state, random.choice((RETRY, RETRY, CANCEL, CANCEL, DELETE)), some, "ada")
            yield

    def choose_one(self) -> Iterator[None]:
        while True:
            if self._ids:
                change = random.choice((self.state.store.cancel, self.state.store.retry))
                with suppress(InvalidTransition, JobNotFound):
                    change(random.choice(self._ids))
            yield


def test_nobody_is_told_of_a_deadlock(site: Any) -> None:
    crowd = Crowd(site)
    crowd.run()
    assert not crowd.told
    assert set(crowd.done) == {"dispatch", "supervise", "choose_many", "choose_one"}
    with site.state.store.database.reading() as connection:
        # Each execution has one attempt, and it is over unless its job runs.
        numbers = select(attempts.c.background_job_id, attempts.c.number)
        assert len(connection.execute(numbers).all()) == len(set(connection.execute(numbers).all()))
        open_ones = select(attempts.c.background_job_id).where(attempts.c.outcome.is_(None))
        running = select(jobs.c.id).where(jobs.c.status == "running")
        assert set(connection.scalars(open_ones)) == set(connection.scalars(running))


@pytest.mark.parametrize("server", SERVERS)
def test_a_real_deadlock_is_told_as_what_it_is(server: str, servers: Callable[..., Any]) -> None:
    """Two transactions that lock two rows in different orders: one of them has to end."""
    database = Database(servers(server, "store"))
    with database.writing() as connection:
        connection.execute(text("INSERT INTO bgjobs_meta VALUES ('one', ''), ('two', '')"))
    together, told = threading.Barrier(2), []

    def lock(*keys: str) -> None:
        try:
            with database.writing() as connection:
                for key in keys:
                    connection.execute(text(f"UPDATE bgjobs_meta SET value = 'x' WHERE {KEY[server]} = '{key}'"))
                    if key == keys[0]:
                        together.wait(10)
        except BackendUnavailable as error:
            told.append(type(error))

    threads = [threading.Thread(target=lock, args=keys) for keys in (("one", "two"), ("two", "one"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    empty(database)
    database.dispose()
    assert told == [Deadlock]


KEY = {"postgresql": "key", "mariadb": "`key`"}


def test_who_is_told_of_a_deadlock_tries_again_but_not_for_ever() -> None:
    tries: list[int] = []

    @outlasting_deadlocks
    def change(succeed_at: int) -> str:
        tries.append(1)
        if len(tries) < succeed_at:
            raise Deadlock("it was")
        return "done"

    assert change(3) == "done"
    assert len(tries) == 3
    with pytest.raises(Deadlock):
        change(1000)
    assert 10 <= len(tries) <= 100


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ((1213, "x"), Deadlock),
        ((1205, "x"), BackendUnavailable),
        ((2006, "gone"), BackendUnavailable),
        ((), BackendUnavailable),
    ],
)
def test_errors_of_mariadb_by_their_numbers(cause: tuple[Any, ...], told: type) -> None:
    url = Database("mariadb+pymysql://u@h/d").url
    with pytest.raises(BackendUnavailable) as raised, answering(url):
        raise OperationalError("UPDATE", {}, Exception(*cause))
    assert type(raised.value) is told
