"""The broker dies, and the worker's code is older than the job: the table is the truth, so nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import Redis, missing, own_redis
from clean_end import real_site
from ports import free_port
from real_site import RealSite
from sqlalchemy.engine import URL
from worker_hosts import WorkerHost, working

SLOTS = 2
NEWER = """

@background.approve
class Newer:
    def answer(self) -> str:
        return "new"
"""


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    if (lack := missing("redis")) is not None:
        pytest.fail(lack) if os.environ.get("BGJOBS_REQUIRE_SERVERS") else pytest.skip(lack)
    with own_redis(free_port()) as server:
        yield server


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    empty_database: Path,
    servers: Callable[[str, str], URL],
    redis: Redis,
) -> Iterator[RealSite]:
    """With one worker."""
    url = servers("postgresql", "brokers").render_as_string(hide_password=False)
    settings = {"backend": "celery", "database_uri": url, "broker_url": redis.url, "processes": SLOTS}
    folder = tmp_path_factory.mktemp("site")
    with real_site(folder, empty_database, settings) as made, working(WorkerHost(made, "one")):
        yield made
        made.check()


def test_a_dispatch_succeeds_while_the_broker_is_down(site: RealSite, redis: Redis) -> None:
    assert site.run("Plain.nothing").status == "completed"
    redis.kill()
    jobs = [site.dispatch("Plain.nothing") for _ in range(10)]
    redis.start()
    assert {(row.status, row.attempt) for row in site.wait(*jobs)} == {("completed", 1)}


def test_a_broker_that_forgets_its_messages_loses_no_job(site: RealSite, redis: Redis) -> None:
    held = [site.dispatch("Plain.hold", {"gate": "forgotten"}) for _ in range(SLOTS)]
    for job in held:
        site.until_noted(job)
    waiting = [site.dispatch("Plain.nothing") for _ in range(20)]
    site.until(lambda: site.row(waiting[-1].id).published_at, what="their messages wait")
    redis.kill()
    redis.start()
    site.open_gate("forgotten")
    assert {(row.status, row.attempt) for row in site.wait(*held, *waiting)} == {("completed", 1)}


def test_a_worker_with_older_code_does_not_fail_a_job_for_good(site: RealSite) -> None:
    """Its class comes with the next deployment. The attempt that met the older code counts as one."""
    job = site.dispatch("Plain.nothing", delay=3600, max_retries=100, retry_delay=0.5)
    with site.state.store.database.writing() as connection:  # as a web process with newer code dispatches it
        connection.exec_driver_sql(
            f"UPDATE background_jobs SET class_name = '{site.name}.jobs.Newer', method_name = 'answer', "
            f"scheduled_at = created_at WHERE id = {job.id}"
        )
    first = site.until_ended_badly(job)
    assert (first.outcome, first.exception_type) == ("failed", "ClassNotApproved")
    assert site.row(job.id).status in ("pending", "running")
    site.source("jobs").write_text(site.source("jobs").read_text() + NEWER)
    (row,) = site.wait(job)
    assert (row.status, row.result) == ("completed", "new")
