"""What running jobs use: when a sample is taken, what it says, and that there are never too many."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from bgjobs import ExampleJob, lookups, samples
from bgjobs.processes import measure as measuring
from bgjobs.processes.identity import identity_of, own_identity, start_time
from bgjobs.processes.measure import Measured, measure, memory_beyond
from bgjobs.runner.outcome import Execution, Outcome
from bgjobs.samples import MOST_POINTS, Sample
from bgjobs.supervisor import sampling
from bgjobs.supervisor.ledger import Ledger
from bgjobs.supervisor.running import RunningJob
from bgjobs.supervisor.sampling import Sampler

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def site(make_site):
    return make_site(BACKEND="local", AUTOSTART=False)


@pytest.fixture
def execution(site):
    site.dispatch(ExampleJob, "slow")
    with site.state.store.changing() as changes:
        (job,) = changes.claim([own_identity().columns()], backend="local")
    return job


def points(site, job_id):
    with site.state.store.database.reading() as connection:
        return samples.of_job(connection, job_id)


def add(site, *taken):
    with site.state.store.database.writing() as connection:
        return samples.add(connection, taken)


# -- stored -------------------------------------------------------------------------------------------------


def test_a_sample_comes_back_as_it_was(site, execution):
    add(
        site,
        Sample(execution, NOW, None, 2**40, 3, 1),
        Sample(execution, NOW + timedelta(seconds=1), 99.5, 5, 1, 0),
    )
    first, second = points(site, execution.id)
    assert (first.attempt, first.at, first.cpu, first.rss, first.threads, first.children) == (
        (1, NOW, None, 2**40, 3, 1)
    )
    assert (second.cpu, second.rss) == (99.5, 5)


def test_a_week_of_samples_is_never_more_than_the_most_and_covers_it_all(site, execution):
    second, step, most = 0, 1, 0
    while second < 2000:
        if add(site, Sample(execution, NOW + timedelta(seconds=second), 1.0, 1, 1, 0)):
            step *= 2
        most = max(most, len(points(site, execution.id)))
        second += step
    kept = points(site, execution.id)
    assert most < MOST_POINTS
    assert step == 8
    assert len(kept) > MOST_POINTS / 3
    assert (kept[0].at, kept[-1].at > NOW + timedelta(seconds=1900)) == (NOW, True)
    gaps = {(later.at - earlier.at).total_seconds() for earlier, later in pairwise(kept)}
    assert max(gaps) <= 2 * step


@pytest.mark.parametrize("meanwhile", ["ended", "another execution", "deleted"])
def test_nothing_is_stored_of_an_execution_that_does_not_run(site, execution, meanwhile):
    if meanwhile == "deleted":
        site.query("DELETE FROM background_jobs WHERE id = ?", execution.id)
    else:
        with site.state.store.changing() as changes:
            changes.finish([(execution, Outcome("released"))])
            if meanwhile == "another execution":
                changes.claim([own_identity().columns()], backend="local", job_ids=[execution.id])
    add(site, Sample(execution, NOW, 1.0, 1, 1, 0))
    assert points(site, execution.id) == []


def test_the_samples_go_with_their_job(site, execution):
    add(site, Sample(execution, NOW, 1.0, 1, 1, 0))
    with site.state.store.database.writing() as connection:
        connection.execute(lookups.jobs.delete().where(lookups.jobs.c.id == execution.id))
    assert points(site, execution.id) == []


def test_the_ledger_writes_samples_with_everything_else(site, execution, monkeypatch):
    monkeypatch.setattr(sampling, "measure", lambda identity: Measured(5 * 2**20, 1.0, 2, 0))
    ledger = Ledger(site.state.store, site.state.folder, 1.0, 1024)
    ledger.running[execution.token] = running = RunningJob(execution, own_identity(), None, None)
    ledger.take_samples()
    assert not ledger.has_unwritten
    running.started -= 5
    ledger._sampler._next_look_at = 0.0
    ledger.take_samples()
    assert ledger.has_unwritten
    ledger.write_and_claim([], look_for_requests=False)
    assert not ledger.has_unwritten
    assert [point.rss for point in points(site, execution.id)] == [5 * 2**20]
    assert running.seen.peak_rss == 5 * 2**20


# -- taken --------------------------------------------------------------------------------------------------


class Measuring:
    """What jobs use, by a script; and how often somebody looked."""

    def __init__(self):
        self.cpu, self.looks = 0.0, 0

    def __call__(self, identity):
        self.looks += 1
        return None if self.cpu is None else Measured(100, self.cpu, 2, 1)


@pytest.fixture
def measured(monkeypatch):
    measuring = Measuring()
    monkeypatch.setattr(sampling, "measure", measuring)
    return measuring


def a_running_job(number=1, started=1000.0):
    job = Execution(number, "app.Job", "run", {}, 0, 3, 5.0, None, f"t{number}", 1)
    return RunningJob(job, own_identity(), None, None, started=started)


def test_a_job_is_looked_at_once_a_second_from_its_second_second_on(measured):
    sampler, job = Sampler(), a_running_job()
    moments = [at / 10 for at in range(10_000, 10_055) if sampler.take([job], at / 10)]
    assert moments == pytest.approx([1001.0, 1002.0, 1003.0, 1004.0, 1005.0], abs=0.15)


def test_no_process_is_looked_at_while_no_job_is_a_second_old(measured):
    sampler = Sampler()
    for tick in range(30):
        now = 1000.0 + tick
        assert sampler.take([a_running_job(number, started=now - 0.9) for number in range(5)], now) == []
    assert measured.looks == 0


def test_the_share_of_the_cpu_is_that_since_the_look_before(measured):
    sampler, job, shares = Sampler(), a_running_job(), []
    for now, cpu in ((1001.0, 0.5), (1002.0, 1.5), (1003.0, 1.75), (1005.0, 5.75), (1006.0, 1.0)):
        measured.cpu = cpu
        shares += [sample.cpu for sample in sampler.take([job], now)]
    assert shares == [None, 100.0, 25.0, 200.0, 0.0]


def test_a_job_whose_points_were_thinned_is_looked_at_half_as_often(measured):
    sampler, job, moments = Sampler(), a_running_job(), []
    for tick in range(1, 20):
        if sampler.take([job], 1000.0 + tick):
            moments.append(tick)
            if tick == 3:
                sampler.look_less_often([job.job.token, "unknown"])
            if tick == 7:
                sampler.look_less_often([job.job.token])
    assert moments == [1, 2, 3, 5, 7, 11, 15, 19]


def test_a_job_whose_process_is_gone_gives_no_sample(measured):
    measured.cpu = None
    assert Sampler().take([a_running_job()], 1005.0) == []


# -- measured -----------------------------------------------------------------------------------------------


def identity_of_pid(pid):
    return identity_of(pid, start_time(pid))


def test_what_a_process_uses_is_the_sum_over_all_that_it_started():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"1\n"
        seen, of_child = measure(own_identity()), measure(identity_of_pid(child.pid))
        child.communicate(b"\n")
    done.set()
    thread.join()
    assert (of_child.threads, of_child.children) == (2, 1)
    assert seen.children >= 2
    assert seen.threads >= 4
    assert seen.rss > of_child.rss > 2**20
    assert seen.cpu_seconds > 0


def test_without_the_kernels_lists_of_children_the_sum_is_the_same(monkeypatch):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        expected = measure(own_identity()).children
        monkeypatch.setattr(measuring, "children_of", lambda pid: open("/nothing/there"))  # noqa: SIM115
        assert measure(own_identity()).children == expected >= 1
        child.communicate(b"\n")


def test_nothing_is_measured_of_a_process_that_is_gone_or_another_one():
    other = identity_of(os.getpid(), "1")
    assert measure(other) is None
    assert memory_beyond(other, 1) is None


def test_memory_beyond_a_limit_is_told_and_within_it_is_not():
    own = own_identity()
    assert memory_beyond(own, 2**50) is None
    assert memory_beyond(own, 1) > 2**20


def test_what_is_shared_is_no_reason_to_stop_a_job(monkeypatch):
    """The resident size is beyond, the proportional one is not."""
    monkeypatch.setattr(measuring, "_proportional_size", lambda process: 10)
    assert memory_beyond(own_identity(), 100) is None
