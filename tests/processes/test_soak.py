"""Many jobs, half of which raise (F25): nothing grows in the processes that stay.

``BGJOBS_TEST_SOAK_JOBS=10000`` makes it long.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil
import pytest
from real_site import MakeSite, RealSite

from bgjobs.supervisor.supervisor import SPARES_WHEN_CALM

JOBS = int(os.environ.get("BGJOBS_TEST_SOAK_JOBS", "600"))
ROUND = 100
WARM_UP = JOBS // 3
# Promised for ten thousand. After a few hundred it is less than one, and nothing has had the time to leak more.
MOST_GROWTH = 5 * 2**20
MOST_LOG = 64 * 2**20


@dataclass(frozen=True)
class Footprint:
    """What the supervisor and its fork server take."""

    memory: int
    descriptors: int
    zombies: int


@pytest.mark.timeout(120 + JOBS // 10)
def test_nothing_grows(make_site: MakeSite) -> None:
    site = make_site()
    site.run("Plain.nothing")
    status = site.until_supervised()
    before, longest_log = None, 0
    for done in range(0, JOBS, ROUND):
        if before is None and done >= WARM_UP:
            before = footprint_at_rest(site)
        run_round(site)
        longest_log = max(longest_log, (site.folder / "app.db-wal").stat().st_size)
    assert before is not None
    after = footprint_at_rest(site)
    assert after.memory - before.memory <= MOST_GROWTH
    assert (after.descriptors, after.zombies) == (before.descriptors, 0)
    assert longest_log <= MOST_LOG
    now = site.until_supervised()
    assert (now.pid, now.fork_server_pid) == (status.pid, status.fork_server_pid)


def run_round(site: RealSite) -> None:
    """Every second job raises, and is not tried again."""
    jobs = [
        site.dispatch("Plain.flaky", {"failures": 9}, max_retries=0)
        if number % 2
        else site.dispatch("Plain.nothing")
        for number in range(ROUND)
    ]
    rows = site.wait(*jobs)
    assert [row.status for row in rows] == ["completed", "failed"] * (ROUND // 2)


def footprint_at_rest(site: RealSite) -> Footprint:
    """When the processes that waited for jobs in the bustle have left, and their channels are closed."""
    status = site.until_supervised()
    assert status.fork_server_pid is not None
    supervisor, fork_server = psutil.Process(status.pid), psutil.Process(status.fork_server_pid)

    def at_rest() -> bool:
        # A channel to each, one to the fork server, and the doorbell.
        return len(fork_server.children()) == SPARES_WHEN_CALM and sockets(supervisor.pid) == SPARES_WHEN_CALM + 2

    site.until(at_rest, what="as many processes wait as do at rest")
    those = (supervisor, fork_server)
    return Footprint(
        memory=sum(process.memory_info().rss for process in those),
        descriptors=sum(process.num_fds() for process in those),
        zombies=sum(child.status() == psutil.STATUS_ZOMBIE for item in those for child in item.children()),
    )


def sockets(pid: int) -> int:
    with os.scandir(f"/proc/{pid}/fd") as entries:
        return sum(link_of(entry.path).startswith("socket:") for entry in entries)


def link_of(path: str) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:  # closed since it was listed
        return ""
