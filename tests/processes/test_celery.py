"""Workers on several machines, on both brokers: whatever dies, nothing is lost and nothing runs twice at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from clean_end import real_site
from real_site import RealSite, died_within
from sqlalchemy import update
from sqlalchemy.engine import URL
from test_servers import disconnect_everybody
from worker_hosts import WorkerHost, working

from bgjobs import JobHandle, pausing
from bgjobs.backends.celery.transport import Postman, celery_app
from bgjobs.lookups import jobs as jobs_table
from bgjobs.outbox import Letter

LEASE = 8.0
SLOTS = 2


@dataclass
class Fleet:
    """A site that only dispatches, and two machines that work for it."""

    site: RealSite
    one: WorkerHost
    two: WorkerHost

    def hold(self, gate: str) -> dict[str, list[JobHandle]]:
        """Jobs that run until the gate is opened, as many as there is room for; by their machine."""
        started = [self.site.dispatch("Plain.hold", {"gate": gate}) for _ in range(2 * SLOTS)]
        for job in started:
            self.site.until_noted(job)
        hosts = [self.site.row(job.id).host for job in started]
        assert sorted(hosts) == ["one"] * SLOTS + ["two"] * SLOTS
        return {name: [job for job, host in zip(started, hosts, strict=True) if host == name] for name in hosts}

    @contextmanager
    def broker(self) -> Iterator[Postman]:
        """A connection to it."""
        app = celery_app(self.site.state)
        postman = Postman(app)
        postman.open()
        yield postman
        postman.close()
        app.close()

    def send_again(self, job: JobHandle) -> None:
        """The broker delivers the message of a job once more."""
        row = self.site.row(job.id)
        with self.broker() as postman:
            assert postman.send([Letter(row.id, row.execution_token, row.queue)]) == []

    def until_drained(self, queue: str = "default") -> None:
        """Wait until no message waits."""
        with self.broker() as postman:
            self.site.until(lambda: postman.number_waiting(queue) == 0, what="no message waits")


@pytest.fixture(scope="module", params=[("postgresql", "redis"), ("mariadb", "rabbitmq")], ids="-".join)
def fleet(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    empty_database: Path,
    servers: Callable[[str, str], URL],
    brokers: Callable[[str, str], str],
) -> Iterator[Fleet]:
    database, broker = request.param
    settings = {
        "backend": "celery",
        "database_uri": servers(database, "fleet").render_as_string(hide_password=False),
        "broker_url": brokers(broker, "fleet"),
        "lease": LEASE,
        "processes": SLOTS,
        "idle_timeout": 60,
    }
    with real_site(tmp_path_factory.mktemp("site"), empty_database, settings) as site:
        one, two = WorkerHost(site, "one"), WorkerHost(site, "two")
        with working(one, two):
            yield Fleet(site, one, two)


@pytest.fixture(autouse=True)
def judged(fleet: Fleet) -> Iterator[None]:
    yield
    fleet.site.check()


def test_every_machine_takes_part_and_hears_of_a_cancellation(fleet: Fleet) -> None:
    site, held = fleet.site, fleet.hold("all")
    waiting = [site.dispatch("Plain.nothing") for _ in range(20)]
    site.until(lambda: site.row(waiting[0].id).published_at, what="a message waits")
    asked = [waiting[0].cancel(), held["one"][0].cancel(), held["two"][0].cancel()]
    assert {row.status for row in site.wait(*asked)} == {"cancelled"}
    site.open_gate("all")
    rows = site.wait(held["one"][1], held["two"][1], *waiting[1:])
    assert {(row.status, row.attempt, row.backend) for row in rows} == {("completed", 1, "celery")}
    site.until(lambda: site.row(waiting[0].id).published_at is None, what="the workers are told not to want it")


def test_a_killed_job_is_run_again(fleet: Fleet) -> None:
    job = fleet.site.dispatch("Plain.hold", {"gate": "again"})
    fleet.site.kill(fleet.site.until_noted(job).pid)
    fleet.site.until_noted(job, count=2)
    fleet.site.open_gate("again")
    (row,) = fleet.site.wait(job)
    assert (row.status, row.retry_count) == ("completed", 1)
    assert [attempt.outcome for attempt in fleet.site.attempts(job.id)] == ["lost", "completed"]


def test_jobs_outlive_their_worker_and_their_supervisor(fleet: Fleet) -> None:
    """On one machine the worker is killed, and with it the one who publishes, perhaps; on the other the
    supervisor, and its worker starts another one."""
    site, held = fleet.site, fleet.hold("outlive")
    before = fleet.two.until_ready()
    fleet.one.kill_worker()
    site.kill(before)
    assert died_within([before], 5)
    site.until(lambda: fleet.two.until_ready() != before, what="there is another supervisor")
    site.open_gate("outlive")
    rows = site.wait(*held["one"], *held["two"])
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    rows = site.wait(*(site.dispatch("Plain.nothing") for _ in range(5)))
    assert {(row.status, row.attempt, row.host) for row in rows} == {("completed", 1, "two")}
    fleet.one.start()
    fleet.one.until_ready()


def test_jobs_of_a_machine_that_is_gone_are_run_on_another(fleet: Fleet) -> None:
    site, held = fleet.site, fleet.hold("gone")
    fleet.one.kill()
    site.open_gate("gone")
    assert {(row.status, row.attempt) for row in site.wait(*held["two"])} == {("completed", 1)}
    rows = site.wait(*held["one"])
    assert {(row.status, row.retry_count, row.host) for row in rows} == {("completed", 1, "two")}
    fleet.one.start()
    fleet.one.until_ready()


def test_a_worker_that_is_stopped_gives_back_what_it_has(fleet: Fleet) -> None:
    """As in a deployment. That costs no attempt."""
    site, held = fleet.site, fleet.hold("back")
    fleet.one.stop()
    assert {site.row(job.id).status for job in held["one"]} == {"pending"}
    site.open_gate("back")
    rows = site.wait(*held["one"], *held["two"])
    assert {(row.status, row.retry_count, row.host) for row in rows} == {("completed", 0, "two")}
    fleet.one.start()
    fleet.one.until_ready()


def test_a_message_that_comes_twice_runs_nothing_twice(fleet: Fleet) -> None:
    site = fleet.site
    running, done = site.dispatch("Plain.hold", {"gate": "twice"}), site.dispatch("Plain.nothing")
    site.until_noted(running)
    site.wait(done)
    for _ in range(3 * SLOTS):
        fleet.send_again(running)
        fleet.send_again(done)
    fleet.until_drained()
    site.open_gate("twice")
    rows = site.wait(running, *(site.dispatch("Plain.nothing") for _ in range(4 * SLOTS)))
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    assert len(site.events(running.id, "start")) == len(site.events(done.id, "start")) == 1


def test_a_message_with_nonsense_is_dropped(fleet: Fleet) -> None:
    """Whoever can write to the broker can run nothing that is not in the table."""
    with fleet.broker() as postman:
        for job, token in (
            (1, "0" * 32),
            ("1", None),
            (-1, "x"),
            (2**70, "x" * 100),
            (True, ""),
            ({"a": 1}, [2]),
        ):
            assert postman.send([Letter(job, token, "default")]) == []  # type: ignore[arg-type]
    fleet.until_drained()
    assert fleet.site.run("Plain.nothing").status == "completed"


def test_a_lost_message_is_sent_anew(fleet: Fleet) -> None:
    """As when the publisher died between its commit and the broker."""
    site = fleet.site
    with site.state.store.database.writing() as connection:
        job = site.dispatch("Plain.nothing", delay=3600)
        connection.execute(
            update(jobs_table)
            .where(jobs_table.c.id == job.id)
            .values(
                execution_token="0" * 32,
                published_at=jobs_table.c.created_at,
                scheduled_at=jobs_table.c.created_at,
            )
        )
    (row,) = site.wait(job)
    assert (row.status, row.attempt) == ("completed", 1)


def test_a_more_urgent_job_overtakes_what_waits_in_the_broker(fleet: Fleet) -> None:
    site = fleet.site
    held = [job for jobs in fleet.hold("overtaken").values() for job in jobs]
    ordinary = [site.dispatch("Plain.nothing", priority=5) for _ in range(50)]
    site.until(lambda: site.row(ordinary[0].id).published_at, what="messages wait")
    token = site.row(ordinary[0].id).execution_token
    urgent = site.dispatch("Plain.nothing", priority=-5)
    site.until(
        lambda: site.row(ordinary[0].id).execution_token != token, what="it was published behind the urgent"
    )
    site.open_gate("overtaken")
    site.wait(urgent, *ordinary)
    first = site.events(urgent.id, "start")[0].moment
    before = [job for job in ordinary if site.events(job.id, "start")[0].moment < first]
    assert len(before) <= 2 * SLOTS
    site.wait(*held)


def test_a_paused_queue_is_not_started_though_its_messages_wait(fleet: Fleet) -> None:
    site = fleet.site
    held = [job for jobs in fleet.hold("paused").values() for job in jobs]
    waiting = [site.dispatch("Plain.nothing", queue="mail") for _ in range(5)]
    site.until(lambda: site.row(waiting[-1].id).published_at, what="messages wait")
    pausing.pause_queue(site.state.store, "mail")
    site.open_gate("paused")
    site.wait(*held, site.dispatch("Plain.nothing"))
    assert {site.row(job.id).status for job in waiting} == {"pending"}
    pausing.resume_queue(site.state.store, "mail")
    assert {row.attempt for row in site.wait(*waiting)} == {1}


def test_the_command_of_celery_does_it_as_well(fleet: Fleet) -> None:
    fleet.one.stop()
    fleet.two.stop()
    fleet.one.start("celery", "-A", "bgjobs.backends.celery", "worker", "--concurrency", "3")
    fleet.one.until_ready()
    assert {row.host for row in fleet.site.wait(*(fleet.site.dispatch("Plain.nothing") for _ in range(6)))} == {
        "one"
    }
    fleet.site.until(lambda: fleet.one.status()["processes"] == 3, what="it says how many jobs it runs at once")
    fleet.one.stop()
    for host in (fleet.one, fleet.two):
        host.start()
        host.until_ready()


def test_a_database_that_hangs_up_loses_nothing(fleet: Fleet) -> None:
    site = fleet.site
    held = [job for jobs in fleet.hold("hung-up").values() for job in jobs]
    more = [site.dispatch("Plain.nothing") for _ in range(20)]
    disconnect_everybody(site)
    site.open_gate("hung-up")
    disconnect_everybody(site)
    rows = site.wait(*held, *more)
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
