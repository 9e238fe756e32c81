"""How long recovery takes: ``make faults`` runs each fault again and again, and writes docs/reliability.md.

    PYTHONPATH=tests python tests/processes/measure_faults.py [rounds] [hosts]

With ``hosts``, only those that need several hosts, and a PostgreSQL.

Each round is judged by the same witness and checker as the tests; a broken promise ends the run.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import host_faults
import idle_race
from census import exists
from clean_end import empty_database_in, real_site
from cluster import cluster_on
from databases import SERVERS, answers, own_database
from real_site import RealSite, died_within, moment_of
from waiting import monotonic, until

ROUNDS = 20
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, BEGIN_HOSTS, END = (
    "<!-- table: make faults -->",
    "<!-- table: several hosts -->",
    "<!-- end of the table -->",
)

Measure = Callable[[Any], float]
"""Of a :class:`RealSite`, or of a :class:`Cluster`."""


@dataclass(frozen=True)
class Fault:
    """One row of the table. ``measure`` does it once and returns seconds."""

    name: str
    what: str  # that is measured
    promise: float  # seconds
    measure: Measure
    settings: dict[str, Any]

    def row(self, times: list[float]) -> str:
        """Of the table, with the median and the worst."""
        worst = shown(max(times)) + ("" if self.kept(times) else " **missed**")
        median = shown(statistics.median(times))
        return f"| {self.name} | {self.what} | {self.promise:g} s | {median} | {worst} |"

    def kept(self, times: list[float]) -> bool:
        return max(times) <= self.promise


def seen_dead(how: str, parameters: dict[str, Any]) -> Measure:
    """A job whose process ends by itself: until the end is on record, counted from the job's last sign of life."""

    def measure(site: RealSite) -> float:
        job = site.dispatch(f"Crash.{how}", parameters)
        started = site.until_noted(job)
        lost = site.until_ended_badly(job)
        assert lost.outcome == "lost"
        assert site.wait(job)[0].status == "completed"
        assert len(site.events(job.id, "start")) == 2
        return moment_of(lost.ended_at) - started.moment

    return measure


def killed_job(site: RealSite) -> float:
    job, sibling = (site.dispatch("Plain.hold", {"gate": gate}) for gate in (f"a{monotonic()}", f"b{monotonic()}"))
    pid = site.until_noted(job).pid
    site.until_noted(sibling)
    site.kill(pid)
    killed_at = monotonic()
    lost = site.until_ended_badly(job)
    site.open_gate(*(site.row(item.id).parameters["gate"] for item in (job, sibling)))
    rows = site.wait(job, sibling)
    assert [(row.status, row.attempt) for row in rows] == [("completed", 2), ("completed", 1)]
    return moment_of(lost.ended_at) - killed_at


def hanging_job(site: RealSite) -> float:
    """Deaf to SIGTERM, with a timeout of 0.5 s and a grace of 0.5 s: until it is on record, after those two."""
    job = site.dispatch("Crash.by_hanging_deaf", timeout=0.5, max_retries=0)
    started = site.until_noted(job)
    (row,) = site.wait(job)
    assert row.error_message.startswith("JobTimedOut")
    return moment_of(row.completed_at) - started.moment - 1.0


def cancelled_family(site: RealSite) -> float:
    """A job with children in its group, in a session of their own, and without a parent: until all are gone."""
    job = site.dispatch("Family.have_children", {"gate": "never"})
    site.until(lambda: len(site.events(job.id, "child-")) >= 3)
    children = [int(event.what.partition("-")[2]) for event in site.events(job.id, "child-")]
    job.cancel()
    asked_at = monotonic()
    assert died_within(children, 30)
    site.wait(job)
    return monotonic() - asked_at


def killed_supervisor(site: RealSite) -> float:
    """Four jobs run, eight wait, nobody dispatches: until the first of those that wait starts."""
    gate = f"gate{monotonic()}"
    running = [site.dispatch("Plain.hold", {"gate": gate}) for _ in range(4)]
    for job in running:
        site.until_noted(job)
    pending = [site.dispatch("Plain.nothing") for _ in range(8)]
    site.kill(site.until_supervised().pid)
    killed_at = monotonic()
    site.open_gate(gate)
    first = min(site.until_noted(job).moment for job in pending)
    rows = site.wait(*running, *pending)
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}
    return first - killed_at


def killed_fork_server(site: RealSite) -> float:
    """Until a job that is dispatched at once starts."""
    site.run("Plain.nothing")
    # What the supervisor tells of itself is up to a second old.
    status = site.until_told(lambda status: status.fork_server_pid is not None and exists(status.fork_server_pid))
    assert status.fork_server_pid is not None
    site.kill(status.fork_server_pid)
    killed_at = monotonic()
    started = site.until_noted(site.dispatch("Plain.nothing"))
    site.wait(*[site.handle(started.job)])
    return started.moment - killed_at


def killed_everything(site: RealSite) -> float:
    """As at the end of a container: until the job that was running runs again, after the next dispatch."""
    gate = f"gate{monotonic()}"
    job = site.dispatch("Plain.hold", {"gate": gate})
    site.until_noted(job)
    site.kill_everything()
    started_at = monotonic()
    site.wait(site.dispatch("Plain.nothing"))
    again = site.until_noted(job, count=2)
    site.open_gate(gate)
    assert site.wait(job)[0].attempt == 2
    return again.moment - started_at


def unrung_bell(site: RealSite) -> float:
    """Committed, and the caller died before it could wake anybody: until the job starts."""
    site.run("Plain.nothing")
    job = site.dispatch("Plain.nothing", delay=3600)
    with closing(site.stranger()) as connection:
        connection.execute("UPDATE background_jobs SET scheduled_at = created_at WHERE id = ?", [job.id])
    committed_at = monotonic()
    started = site.until_noted(job)
    site.wait(job)
    return started.moment - committed_at


def stopped_supervisor(site: RealSite) -> float:
    """SIGTERM while a job runs that does not end: until the supervisor is gone and the job pending, beyond the
    grace period of 0.5 s."""
    gate = f"gate{monotonic()}"
    job = site.dispatch("Plain.hold", {"gate": gate})
    site.until_noted(job)
    pid = site.until_supervised().pid
    os.kill(pid, signal.SIGTERM)
    asked_at = monotonic()
    assert died_within([pid], 30)
    took = monotonic() - asked_at
    row = site.row(job.id)
    assert (row.status, row.retry_count) == ("pending", 0)
    site.open_gate(gate)
    site.run("Plain.nothing")
    site.wait(job)
    return max(0.0, took - 0.5)


def first_dispatch(site: RealSite) -> float:
    """Nothing runs: until the job starts, the imports of the application included."""
    site.kill_everything()
    asked_at = monotonic()
    job = site.dispatch("Plain.nothing")
    started = site.until_noted(job)
    site.wait(job)
    return started.moment - asked_at


FAULTS = (
    Fault("`kill -9` of a job's process", "the end is on record", 1.0, killed_job, {}),
    Fault("a job calls `os._exit(0)`", "the end is on record", 1.0, seen_dead("by_leaving", {"status": 0}), {}),
    Fault("segmentation fault", "the end is on record", 1.0, seen_dead("by_null_pointer", {}), {}),
    Fault(
        "a job hangs and ignores SIGTERM", "killed and on record, beyond timeout and grace", 1.0, hanging_job, {}
    ),
    Fault("cancelled with grandchildren that left the group", "every process is gone", 2.0, cancelled_family, {}),
    Fault("`kill -9` of the supervisor, nobody dispatches", "a waiting job starts", 3.0, killed_supervisor, {}),
    Fault("`kill -9` of the fork server", "the next job starts", 3.0, killed_fork_server, {}),
    Fault(
        "`kill -9` of everything at once", "the lost job runs again, after a dispatch", 3.0, killed_everything, {}
    ),
    Fault("the caller dies between commit and ring", "the job starts", 5.0, unrung_bell, {}),
    Fault("SIGTERM to the supervisor", "it has left, beyond the grace", 1.0, stopped_supervisor, {}),
    Fault("nothing runs yet (no fault)", "the first job starts", 3.0, first_dispatch, {}),
)
# On a cluster with leases of 3 s.
FAULTS_OF_HOSTS = (
    Fault("a whole host dies", "its job runs again on another host", 7.0, host_faults.whole_host_dies, {}),
    Fault(
        "a host is cut off from the database", "its job runs again elsewhere", 7.0, host_faults.network_is_cut, {}
    ),
    Fault(
        "supervisor and jobs of a host wake up after their lease",
        "the process of the job that others recovered is gone",
        3.0,
        host_faults.host_sleeps,
        {},
    ),
    Fault(
        "a dispatch on a host that runs no jobs (no fault)",
        "the job starts",
        1.0,
        host_faults.dispatched_elsewhere,
        {},
    ),
)
# Takes an instant to hit; and no fault, but a moment in which a job could be stranded.
IDLE_EXITS_A_ROUND = 100
IDLE_EXIT = Fault(
    f"a job comes while the supervisor leaves for want of work ({IDLE_EXITS_A_ROUND} times a round)",
    "the job starts",
    1.0,
    lambda site: idle_race.race(site, 1)[0][0],
    idle_race.SETTINGS,
)


@contextmanager
def fresh_site(folder: Path, database: Path, settings: dict[str, Any]) -> Iterator[RealSite]:
    folder.mkdir()
    with real_site(folder, database, settings) as site:
        yield site


def main(rounds: int, *, only_hosts: bool) -> int:
    logging.getLogger("bgjobs").setLevel(logging.WARNING)
    missed = not only_hosts and of_one_host(rounds)
    if not answers(SERVERS["postgresql"]):
        print("PostgreSQL does not answer: the table of several hosts stays as it is", file=sys.stderr)
        return int(missed)
    return int(of_several_hosts(rounds) or missed)


def of_one_host(rounds: int) -> bool:
    """Measure, and write the table; whether a promise was missed."""
    rows, missed = [], False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = empty_database_in(folder)
        for number, fault in enumerate((*FAULTS, IDLE_EXIT)):
            with fresh_site(folder / f"site{number}", empty, fault.settings) as site:
                if fault is IDLE_EXIT:
                    times, _ = idle_race.race(site, rounds * IDLE_EXITS_A_ROUND)
                else:
                    times = measured(fault, site, rounds)
            missed = missed or not fault.kept(times)
            rows.append(fault.row(times))
            print(rows[-1], flush=True)
    words = f"SQLite {sqlite3.sqlite_version}; in every round nothing was lost and nothing ran twice at a time."
    write_page(BEGIN, rows, f"{rounds} rounds each on {here()} and {words}")
    return missed


def of_several_hosts(rounds: int) -> bool:
    rows, missed = [], False
    with tempfile.TemporaryDirectory() as name, own_database("postgresql", "faults") as url:
        folder = Path(name)
        empty = empty_database_in(folder)
        (folder / "site").mkdir()
        with cluster_on(url, folder / "site", empty) as cluster:
            for fault in FAULTS_OF_HOSTS:
                times = [fault.measure(cluster) for _ in range(rounds)]
                missed = missed or not fault.kept(times)
                rows.append(fault.row(times))
                print(rows[-1], flush=True)
    words = (
        "PostgreSQL, two hosts, `BGJOBS_LEASE = 3`; in every round nothing was lost, and what a host said that was"
    )
    write_page(BEGIN_HOSTS, rows, f"{rounds} rounds each on {here()} and {words} fenced out changed nothing.")
    return missed


def measured(fault: Fault, site: RealSite, rounds: int) -> list[float]:
    times = []
    site.run("Plain.nothing")
    for round_ in range(1, rounds + 1):
        until(lambda: site.supervisor is None or site.supervisor.fork_server_pid)
        times.append(fault.measure(site))
        print(f"\r{fault.name}: {round_} of {rounds}", end="", file=sys.stderr, flush=True)
    site.check()
    print(file=sys.stderr)
    return times


def shown(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def here() -> str:
    return f"{platform.system()} with Python {platform.python_version()}"


def write_page(begin: str, rows: list[str], words: str) -> None:
    head = ["| what happens | measured until | promise | median | worst |", "|---|---|---:|---:|---:|"]
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([before + begin, *head, *rows, "", words, END + after]))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS, only_hosts="hosts" in sys.argv))
