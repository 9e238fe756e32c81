"""The local backend on PostgreSQL and MariaDB: what dies, and what becomes of the jobs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from databases import SERVERS, administering, empty
from real_site import MakeSite, RealSite
from sqlalchemy import text
from sqlalchemy.engine import URL

from bgjobs import JobHandle
from bgjobs.exceptions import BackendUnavailable


@pytest.fixture(params=SERVERS)
def served(request: pytest.FixtureRequest, make_site: MakeSite, servers: Callable[[str, str], URL]) -> RealSite:
    """A site whose jobs are on a server."""
    site = make_site(database_uri=servers(request.param, "processes").render_as_string(hide_password=False))
    empty(site.state.store.database)
    return site


def disconnect_everybody(site: RealSite) -> None:
    """The server ends every connection to the database, as when it is started anew."""
    url = site.state.store.database.url
    if url.get_backend_name() == "postgresql":
        with administering("postgresql") as connection:
            others = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
            connection.execute(others, {"name": url.database})
        return
    with administering("mariadb") as connection:
        others = text("SELECT id FROM information_schema.processlist WHERE db = :name")
        for number in connection.scalars(others, {"name": url.database}).all():
            connection.exec_driver_sql(f"KILL {number}")


def test_jobs_run_each_in_a_process_of_its_own(served: RealSite) -> None:
    rows = served.wait(*(served.dispatch("Plain.nothing") for _ in range(30)))
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    assert len({row.pid for row in rows}) == 30


def test_a_job_whose_process_is_killed_is_run_again(served: RealSite) -> None:
    job = served.dispatch("Plain.hold", {"gate": "on"})
    served.kill(served.until_noted(job).pid)
    served.until_noted(job, count=2)
    served.open_gate("on")
    assert [(row.status, row.retry_count) for row in served.wait(job)] == [("completed", 1)]
    assert [attempt.outcome for attempt in served.attempts(job.id)] == ["lost", "completed"]


def test_jobs_outlive_their_supervisor_and_the_next_one_takes_over(served: RealSite) -> None:
    held = [served.dispatch("Plain.hold", {"gate": "on"}) for _ in range(3)]
    for job in held:
        served.until_noted(job)
    waiting = served.dispatch("Plain.nothing", delay=1.0)
    first = served.until_supervised().pid
    os.kill(first, signal.SIGKILL)
    served.until_supervised(but_not=first)
    served.open_gate("on")
    assert {(row.status, row.attempt) for row in served.wait(*held, waiting)} == {("completed", 1)}


def test_a_connection_that_is_lost_loses_no_outcome(served: RealSite) -> None:
    """F12. The jobs end while nobody can write it down."""
    held = [served.dispatch("Plain.hold", {"gate": "on"}) for _ in range(3)]
    for job in held:
        served.until_noted(job)
    supervisor = served.until_supervised().pid
    disconnect_everybody(served)
    served.open_gate("on")
    disconnect_everybody(served)
    rows = served.wait(*held)
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    assert served.until_supervised().pid == supervisor


@pytest.mark.parametrize("served", ["postgresql"], indirect=True)
def test_connections_that_are_ended_one_after_the_other_lose_nothing(served: RealSite) -> None:
    """F12. Every tenth of a second one of ours, whoever it belongs to, while jobs are dispatched and run."""
    jobs: list[JobHandle] = []
    number = int(os.environ.get("BGJOBS_JOBS_UNDER_FIRE", "150"))
    supervisor = served.until_supervised_after(served.dispatch("Plain.nothing"))
    with ending_connections(served) as ended:
        while len(jobs) < number:
            with suppress(BackendUnavailable):  # what was refused was not stored, or its commit was not heard of
                jobs.append(served.dispatch("Plain.nothing", max_retries=0))
        served.until(lambda: unfinished(served) == 0)
    rows = served.wait(*jobs)
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    assert served.supervisor is not None
    assert served.supervisor.pid == supervisor.pid
    assert ended[0] > 0


def unfinished(site: RealSite) -> int:
    try:
        counts = site.counts()
    except BackendUnavailable:
        return -1
    return counts["pending"] + counts["running"]


@contextmanager
def ending_connections(site: RealSite) -> Iterator[list[int]]:
    """Let the server end a connection to this database every 0.1 s; how many it has ended."""
    url, ended, is_over = site.state.store.database.url, [0], threading.Event()
    victim = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name ORDER BY random() LIMIT 1"
    )

    def work() -> None:
        with administering("postgresql") as connection:
            while not is_over.wait(0.1):
                ended[0] += len(connection.execute(victim, {"name": url.database}).all())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield ended
    finally:
        is_over.set()
        thread.join()


def test_a_cancelled_job_is_stopped(served: RealSite) -> None:
    job = served.dispatch("Plain.hold", {"gate": "never"})
    served.until_noted(job)
    job.cancel()
    assert served.wait(job)[0].status == "cancelled"
