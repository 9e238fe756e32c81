"""A host whose network is gone: not a packet goes in or out, and nobody is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from census import exists
from cluster import SETTINGS
from host import network
from hosts import Host, at_work
from real_site import MakeSite
from relay import Relay
from sqlalchemy.engine import URL
from waiting import until


def test_the_jobs_of_a_host_without_a_network_are_run_by_another_one(
    make_site: MakeSite, servers: Callable[[str, str], URL]
) -> None:
    url = servers("postgresql", "network")
    site = make_site(database_uri=url.render_as_string(hide_password=False), **SETTINGS)
    with network() as apart, closing(Relay(str(url.host), int(url.port or 5432), entrance=apart.address)) as way:
        through = url.set(host=apart.address, port=way.port).render_as_string(hide_password=False)
        cut_off, other = Host(site, "cut-off", prefix=apart.prefix, database_uri=through), Host(site, "other")
        with at_work(cut_off):
            job = site.dispatch("Plain.hold", {"gate": "on"})
            site.until_noted(job)
            site.ran_on_two_hosts.add(job.id)
            pid = site.row(job.id).pid
            with at_work(other):
                apart.set("down")
                site.until_noted(job, count=2)
                assert exists(pid)
                apart.set("up")
                until(lambda: not exists(pid), what="the process on the host that was cut off is gone")
                site.open_gate("on")
                (row,) = site.wait(job)
                assert site.run("Plain.nothing").status == "completed"
    assert (row.status, row.host, row.attempt) == ("completed", "other", 2)
    assert [attempt.outcome for attempt in site.attempts(job.id)] == ["lost", "completed"]
