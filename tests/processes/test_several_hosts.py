"""Several hosts on one database: each takes part, one that is gone loses nothing, one that slept does no harm."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
from census import exists
from cluster import SETTINGS, Cluster, cluster_on
from databases import SERVERS
from hosts import Host, at_work
from real_site import MakeSite, RealSite
from sqlalchemy.engine import URL
from waiting import until

from bgjobs import leases

SLOTS = SETTINGS["processes"]
SILENT = "has not been heard of for 3 s"


@pytest.fixture(scope="module", params=SERVERS)
def cluster(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    empty_database: Path,
    servers: Callable[[str, str], URL],
) -> Iterator[Cluster]:
    url = servers(request.param, "hosts")
    with cluster_on(
        url, tmp_path_factory.mktemp("site"), empty_database, looks=url.get_backend_name() != "postgresql"
    ) as made:
        yield made


def test_each_host_takes_part_and_hears_of_a_cancellation(cluster: Cluster) -> None:
    site = cluster.site
    jobs = [site.dispatch("Plain.hold", {"gate": "both"}) for _ in range(2 * SLOTS)]
    for job in jobs:
        site.until_noted(job)
    hosts = [site.row(job.id).host for job in jobs]
    assert sorted(hosts) == ["one"] * SLOTS + ["two"] * SLOTS
    asked = {host: jobs[hosts.index(host)] for host in ("one", "two")}
    for job in asked.values():
        job.cancel()
    assert {row.status for row in site.wait(*asked.values())} == {"cancelled"}
    site.open_gate("both")
    rows = site.wait(*jobs)
    assert {row.attempt for row in rows} == {1}
    assert sorted(row.status for row in rows) == ["cancelled"] * 2 + ["completed"] * (2 * SLOTS - 2)


def test_an_outage_of_the_database_makes_nobody_look_gone(cluster: Cluster) -> None:
    """F12. It lasts longer than a lease, and one host comes back before the other."""
    site = cluster.site
    jobs = [site.dispatch("Plain.hold", {"gate": f"outage-{number % 2}"}) for number in range(2 * SLOTS)]
    for job in jobs:
        site.until_noted(job)
    before = {job.id: site.row(job.id).host for job in jobs}
    assert set(before.values()) == {"one", "two"}
    supervisors = cluster.one.pid, cluster.two.pid
    for way in (cluster.way_of_one, cluster.way_of_two):
        way.set("refusing")
    with site.state.store.database.reading() as connection:
        names = leases.unexpired(connection)
    assert len(names) >= 2
    site.open_gate("outage-0")
    site.until(lambda: not still_heard_of(site, names), what="every lease has ended")
    cluster.way_of_one.set("up")
    # It writes what it could not write, and looks at what runs elsewhere, in one turn.
    site.wait(
        *(job for job in jobs if before[job.id] == "one" and site.row(job.id).parameters["gate"] == "outage-0")
    )
    cluster.way_of_two.set("up")
    site.open_gate("outage-1")
    rows = site.wait(*jobs)
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    assert {row.id: row.host for row in rows} == before
    assert supervisors == (cluster.one.pid, cluster.two.pid)


def still_heard_of(site: RealSite, names: Collection[str]) -> set[str]:
    with site.state.store.database.reading() as connection:
        return set(leases.unexpired(connection)) & set(names)


def test_a_host_that_is_cut_off_from_the_database_is_fenced_out(cluster: Cluster) -> None:
    """Nothing passes, and nobody is told; its jobs go on meanwhile."""
    site = cluster.site
    (job,) = cluster.start_on(cluster.one, "cut")
    site.ran_on_two_hosts.add(job.id)
    pid = site.row(job.id).pid
    cluster.way_of_one.set("cut")
    site.until_noted(job, count=2)
    assert exists(pid)
    cluster.way_of_one.set("up")
    until(lambda: not exists(pid), what="the process on the host that was cut off is gone")
    site.open_gate("cut")
    (row,) = site.wait(job)
    assert (row.status, row.host, row.attempt) == ("completed", "two", 2)
    assert [event.pid for event in site.events(job.id, "end")] == [row.pid]


def test_the_jobs_of_a_host_that_is_gone_are_run_once_more(cluster: Cluster) -> None:
    site = cluster.site
    lost = cluster.start_on(cluster.one, "gone-a", "gone-b")
    kept = site.dispatch("Plain.hold", {"gate": "gone-c"})
    site.until_noted(kept)
    cluster.one.kill()
    survivors = [*lost, kept] if site.row(kept.id).host == "one" else lost
    for job in survivors:
        site.until_noted(job, count=2)
    site.open_gate("gone-a", "gone-b", "gone-c")
    rows = site.wait(*lost, kept)
    assert {(row.status, row.host) for row in rows} == {("completed", "two")}
    for job in survivors:
        first, second = site.attempts(job.id)
        assert (first.outcome, first.host, second.outcome, second.host) == ("lost", "one", "completed", "two")
        assert f"the host one {SILENT}" in first.exception_message
        assert len(site.events(job.id, "start")) == 2
    cluster.one.start()


def test_what_a_host_says_after_it_slept_changes_nothing(cluster: Cluster) -> None:
    """F17. Supervisor and jobs of a host stand still for longer than its lease, and then go on: one job at once
    with its outcome, the other one until it is killed."""
    site, one = cluster.site, cluster.one
    quick, slow = jobs = cluster.start_on(one, "quick", "slow")
    site.ran_on_two_hosts |= {job.id for job in jobs}
    pids = {job.id: site.row(job.id).pid for job in jobs}
    frozen = one.freeze()
    for job in jobs:
        site.until_noted(job, count=2)
    site.open_gate("quick")
    (before,) = site.wait(quick)
    assert (before.status, before.host, before.attempt) == ("completed", "two", 2)

    os.kill(pids[quick.id], signal.SIGCONT)  # it goes on, and reports to a supervisor that still stands still
    site.until(lambda: [event for event in site.events(quick.id, "end") if event.pid == pids[quick.id]])
    for process in frozen:
        process.send_signal(signal.SIGCONT)
    until(lambda: not any(map(exists, pids.values())), what="what ran on the host that slept is gone")
    assert site.row(quick.id) == before
    site.open_gate("slow")
    (row,) = site.wait(slow)
    assert (row.status, row.host, row.attempt) == ("completed", "two", 2)
    assert [event.pid for event in site.events(slow.id, "end")] == [row.pid]
    for job in jobs:
        assert [attempt.outcome for attempt in site.attempts(job.id)] == ["lost", "completed"]
    assert site.run("Plain.nothing").status == "completed"
    assert one.processes(), "the host that slept goes on"


def test_a_container_takes_over_from_the_one_before_it(make_site: MakeSite) -> None:
    """On SQLite, in a file that both mount: the new one cannot judge the processes of the old one."""
    site = make_site(**SETTINGS)
    old, new = Host(site, "old"), Host(site, "new")
    with at_work(old):
        job = site.dispatch("Plain.hold", {"gate": "on"})
        site.until_noted(job)
        old.kill()
        with at_work(new):
            site.until_noted(job, count=2)
            site.open_gate("on")
            (row,) = site.wait(job)
    assert (row.status, row.host) == ("completed", "new")
    assert [attempt.outcome for attempt in site.attempts(job.id)] == ["lost", "completed"]
