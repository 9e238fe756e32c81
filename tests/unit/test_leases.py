"""The lease of a machine, on each database: who is heard of, and when that says something of the others."""

from __future__ import annotations

import math
import time

import pytest
from sqlalchemy import select, update

from bgjobs import leases
from bgjobs.lookups import jobs
from bgjobs.processes.identity import ProcessIdentity, host_name, own_identity
from bgjobs.supervisor import recovery, tenancy
from bgjobs.supervisor.tenancy import Tenancy

WEB, OTHER = "machine web boot ns", "machine other boot ns"
LEASE = 30.0


def renewed(store, name=WEB, seconds=LEASE, holder="h", about=None):
    with store.database.writing() as connection:
        return leases.renew(connection, name, holder, seconds, about or {"pid": 1})


def heard_of(store):
    with store.database.reading() as connection:
        return leases.unexpired(connection)


def ends_earlier(store, seconds, name=WEB):
    with store.database.writing() as connection:
        connection.execute(
            update(leases.leases)
            .where(leases.leases.c.name == name)
            .values(expires_at=leases.leases.c.expires_at - seconds)
        )


def test_the_clock_of_the_database_is_that_of_the_world(store):
    """The databases of the tests are on this computer."""
    with store.database.reading() as connection:
        first, second = (connection.scalar(select(leases.SecondsNow())) for _ in range(2))
    assert math.isclose(first, time.time(), abs_tol=2)
    assert isinstance(first, float)
    assert second >= first


def test_a_clock_that_stands_still_in_a_transaction_would_be_none(store):
    with store.database.reading() as connection:
        first = connection.scalar(select(leases.SecondsNow()))
        deadline = time.monotonic() + 10
        while connection.scalar(select(leases.SecondsNow())) == first:
            assert time.monotonic() < deadline


def test_a_lease_that_is_renewed_does_not_end(store):
    assert renewed(store).had_lapsed  # there was none
    assert not renewed(store).had_lapsed
    assert not renewed(store, holder="another one of this machine").had_lapsed
    assert heard_of(store) == {WEB}


def test_a_lease_that_has_ended_is_known_as_such(store):
    renewed(store)
    ends_earlier(store, LEASE + 1)
    assert heard_of(store) == set()
    assert renewed(store).had_lapsed
    assert heard_of(store) == {WEB}


def test_a_renewal_tells_the_time_of_the_database(store):
    first, second = renewed(store), renewed(store)
    assert 0 <= second.at - first.at < 60


def test_a_lease_that_was_given_up_counts_until_it_ends_and_shows_nobody(store):
    renewed(store)
    renewed(store, OTHER, holder="other")
    with store.database.writing() as connection:
        leases.say_farewell(connection, WEB, "h")
        leases.say_farewell(connection, OTHER, "somebody who does not hold it")
        shown = [row.name for row in leases.machines(connection)]
    assert shown == [OTHER]
    assert heard_of(store) == {WEB, OTHER}


def test_what_is_shown_of_a_machine(store):
    renewed(store, about={"host": "web", "pid": 4711})
    renewed(store, "dispatcher")
    renewed(store, OTHER)
    ends_earlier(store, 2 * LEASE, OTHER)
    with store.database.reading() as connection:
        other, web = leases.machines(connection)
    assert (web.name, web.about) == (WEB, {"host": "web", "pid": 4711})
    assert 0 < web.left <= LEASE
    assert -LEASE - 60 < other.left < 0


def test_what_ended_long_ago_is_forgotten(store):
    for name in (WEB, OTHER):
        renewed(store, name)
    ends_earlier(store, leases.FORGOTTEN_AFTER + LEASE + 1, OTHER)
    with store.database.writing() as connection:
        leases.forget_old(connection)
        assert [row.name for row in leases.machines(connection)] == [WEB]


def test_the_longest_name_fits(store):
    name = leases.machine("ü" * 255, "b" * 64, "n" * 64)
    assert renewed(store, name).had_lapsed
    assert heard_of(store) == {name}


@pytest.mark.parametrize("expires_at", ["x", "", b"\xff"])
def test_a_row_that_somebody_edited_is_one_that_has_ended(make_site, expires_at):
    store = make_site().state.store
    renewed(store)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE bgjobs_leases SET expires_at = ?", (expires_at,))
    assert renewed(store).had_lapsed
    assert not renewed(store).had_lapsed


class Clock:
    """Of the computer, and of the database that is on it."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(tenancy, "steady", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def host(clock, monkeypatch):
    """A tenancy whose database is a clock and the set of those that were heard of."""
    offset = [0.0]
    ends = {}

    def renew(connection, name, holder, seconds, about):
        now = clock.now + offset[0]
        lapsed = ends.get(name, 0.0) <= now
        ends[name] = now + seconds
        return leases.Renewal(now, lapsed)

    monkeypatch.setattr(leases, "renew", renew)
    monkeypatch.setattr(leases, "forget_old", lambda connection: None)
    monkeypatch.setattr(leases, "unexpired", lambda connection: set(ends))
    made = Tenancy(LEASE, own_identity())
    made.offset = offset
    return made


def turns(host, clock, seconds, step=1.0):
    """Let it work for a while; whether it held its lease at each renewal."""
    held = []
    for _ in range(round(seconds / step)):
        clock.now += step
        if not host.renew_in:
            held.append(host.renew(None, {}))
    return held


def test_a_lease_is_renewed_when_a_third_of_it_is_over(host, clock):
    assert host.renew_in == 0
    assert not host.renew(None, {})  # it had none before
    assert host.renew_in == LEASE / 3
    assert turns(host, clock, 2 * LEASE) == [True] * 6


def test_nobody_is_judged_before_one_has_been_there_for_a_whole_lease(host, clock):
    assert host.heard_of(None) is None
    host.renew(None, {})
    turns(host, clock, LEASE - 1)
    assert host.heard_of(None) is None
    turns(host, clock, 1)
    assert host.heard_of(None) is not None


@pytest.mark.parametrize("outage", [LEASE / 2 + 1, LEASE, 10 * LEASE], ids=str)
def test_after_an_outage_of_the_database_nobody_is_judged_for_a_whole_lease(host, clock, outage):
    host.renew(None, {})
    turns(host, clock, 2 * LEASE)
    clock.now += outage
    assert host.heard_of(None) is None
    host.renew(None, {})
    assert host.heard_of(None) is None
    turns(host, clock, LEASE - 1)
    assert host.heard_of(None) is None
    turns(host, clock, 1)
    assert host.heard_of(None) is not None


def test_a_renewal_that_comes_a_little_late_changes_nothing(host, clock):
    host.renew(None, {})
    turns(host, clock, 2 * LEASE)
    clock.now += LEASE / 3
    host.renew(None, {})
    assert host.heard_of(None) is not None


@pytest.mark.parametrize("step", [-3600, 3600, LEASE], ids=str)
def test_after_the_clock_of_the_database_was_set_nobody_is_judged(host, clock, step):
    host.renew(None, {})
    turns(host, clock, 2 * LEASE)
    host.offset[0] = step
    turns(host, clock, LEASE / 3)
    assert host.heard_of(None) is None
    turns(host, clock, LEASE)
    assert host.heard_of(None) is not None


def test_who_was_asleep_learns_that_its_lease_had_ended(host, clock):
    host.renew(None, {})
    clock.now += LEASE + 1
    assert host.renew_in == 0
    assert not host.renew(None, {})


# -- what is made of it ------------------------------------------------------------------------------------

ELSEWHERE = ProcessIdentity("elsewhere", "boot", "ns", 4711, "99")
MACHINE = leases.machine("elsewhere", "boot", "ns")
SURVEYS = {
    "its machine is heard of": ("local", {MACHINE}, "elsewhere"),
    "nobody has heard of its machine": ("local", {WEB}, "silent"),
    "so it is with a job that came by a message": ("celery", {WEB}, "silent"),
    "that cannot be relied on": ("local", None, "elsewhere"),
    "the process is one of an application": ("inline", {WEB}, "nothing"),
}


@pytest.mark.parametrize(("backend", "heard", "found"), SURVEYS.values(), ids=SURVEYS.keys())
def test_what_becomes_of_a_job_on_another_machine(make_site, backend, heard, found):
    site = make_site("bgjobs.example_job.ExampleJob", backend="local")
    job = site.dispatch("bgjobs.example_job.ExampleJob", "run", {"param1": "x"})
    with site.state.store.changing() as changes:
        changes.claim([ELSEWHERE.columns()], backend=backend, job_ids=[job.id])
    with site.state.store.database.reading() as connection:
        seen = recovery.survey(connection, (), lambda connection: heard)
        token = connection.scalar(select(jobs.c.execution_token))
    parts = {"silent": seen.silent, "elsewhere": seen.elsewhere}
    assert [name for name, part in parts.items() if part] == ([] if found == "nothing" else [found])
    assert (seen.alive, seen.gone, seen.current) == ([], [], {token})


def test_a_host_may_be_given_a_name(monkeypatch):
    host_name.cache_clear()
    try:
        monkeypatch.setenv("BGJOBS_HOST_NAME", "web-1")
        assert host_name() == own_identity().host == "web-1"
        host_name.cache_clear()
        monkeypatch.setenv("BGJOBS_HOST_NAME", "")
        assert host_name()
        host_name.cache_clear()
        monkeypatch.setenv("BGJOBS_HOST_NAME", "\udcff" + "x" * 300)
        assert len(host_name().encode()) == 255
    finally:
        host_name.cache_clear()
