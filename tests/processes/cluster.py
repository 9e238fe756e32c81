"""Two hosts on one database server, each with a way to it that can be cut, and a site that only dispatches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clean_end import real_site
from hosts import Host, at_work
from real_site import RealSite
from relay import Relay
from sqlalchemy.engine import URL

from bgjobs import JobHandle

SETTINGS: dict[str, Any] = {"autostart": False, "lease": 3.0, "idle_timeout": 60, "processes": 4}
# On PostgreSQL whatever another host commits is heard, so a supervisor that hardly ever looks by itself will do.
HARDLY_LOOKS = "import bgjobs.supervisor.supervisor as it\nit.LOOK_INTERVAL = 3600.0"


@dataclass
class Cluster:
    """A site that only dispatches, and two hosts that run its jobs; each has a way to the database of its own."""

    site: RealSite
    one: Host
    two: Host
    way_of_one: Relay
    way_of_two: Relay

    def start_on(self, host: Host, *gates: str) -> list[JobHandle]:
        """Jobs that run on this host until their gates are opened."""
        other = self.two if host is self.one else self.one
        other.freeze()
        jobs = [self.site.dispatch("Plain.hold", {"gate": gate}) for gate in gates]
        for job in jobs:
            self.site.until_noted(job)
        other.go_on()
        assert {self.site.row(job.id).host for job in jobs} == {host.name}
        return jobs


@contextmanager
def cluster_on(url: URL, folder: Path, empty_database: Path, *, looks: bool = True) -> Iterator[Cluster]:
    """Without ``looks`` the supervisors rely on being rung."""
    ways = [Relay(str(url.host), int(url.port or 0)) for _ in range(2)]
    settings = {"database_uri": url.render_as_string(hide_password=False), **SETTINGS}
    with closing(ways[0]), closing(ways[1]), real_site(folder, empty_database, settings) as site:
        one, two = (
            Host(site, name, code="" if looks else HARDLY_LOOKS, database_uri=_through(way, url))
            for name, way in zip(("one", "two"), ways, strict=True)
        )
        with at_work(one, two):
            yield Cluster(site, one, two, *ways)
            for way in ways:
                way.set("up")
            site.check()


def _through(way: Relay, url: URL) -> str:
    return url.set(host="127.0.0.1", port=way.port).render_as_string(hide_password=False)
