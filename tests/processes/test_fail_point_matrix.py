"""Each process of ours dies, or meets an error, at each place where that could hurt (F20, F21, F23).

The points and their tickets: ``bgjobs/fail_points.py``. A ticket arms a point once, in the processes that run
already; so one site serves for all of them. What is true of every job afterwards (no two executions at a time, no
attempt too many, an end for each) is checked by the ``site`` fixture; here stands what each point costs.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from clean_end import KILL_GRACE, real_site
from real_site import RealSite, died_within
from waiting import until

from bgjobs import JobHandle
from bgjobs.fail_points import POINTS, VARIABLE
from bgjobs.supervisor.doorbell import ring

ACTIONS = ("kill9", "raise")
# Who sleeps until it is killed, and who sleeps for a moment in which something else happens.
SLEEPS = {"job.before_ready": 60.0, "job.before_go": 60.0}
A_MOMENT = 1.0
# What has no promise beyond the second that it should take; the machine may have other things to do.
SOON = 10.0
# Processes that wait for a job at the most: twice as many as may run one.
MOST_IDLE = 8
# Of a fork: it takes milliseconds.
READY_WITHIN = 2.0

# Meets an error and goes on, then is killed.
DISPATCH = """
from pathlib import Path
from bgjobs import run_background_job
point, in_a_transaction = sys.argv[1], len(sys.argv) > 2
app = site.create_app()
with app.app_context():
    session = site.db.session if in_a_transaction else None
    for action in ("raise", "kill9"):
        Path("tickets", f"{point}.{action}").touch()
        for _ in range(2):
            try:
                job = run_background_job(site.jobs.Plain, "nothing", session=session)
                if session is not None:
                    session.commit()
                print(job.id, flush=True)
            except Exception as error:
                if session is not None:
                    session.rollback()
                print(type(error).__name__, flush=True)
"""


@pytest.fixture
def site(site_of_the_module: RealSite, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealSite]:
    yield armed(site_of_the_module, monkeypatch)
    site_of_the_module.check()


@pytest.fixture(scope="module")
def restless_site_of_the_module(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path
) -> Iterator[RealSite]:
    """Its supervisor leaves as soon as it may, and a process has little time to get ready."""
    settings = {"idle_timeout": 0.3, "ready_within": READY_WITHIN}
    with real_site(tmp_path_factory.mktemp("site"), empty_database, settings) as site:
        yield site


@pytest.fixture
def restless_site(restless_site_of_the_module: RealSite, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealSite]:
    yield armed(restless_site_of_the_module, monkeypatch)
    restless_site_of_the_module.check()


def armed(site: RealSite, monkeypatch: pytest.MonkeyPatch) -> RealSite:
    """The site, in whose processes every point goes off when there is a ticket for it."""
    tickets = site.folder / "tickets"
    tickets.mkdir(exist_ok=True)
    points = {name: [*ACTIONS, f"sleep:{SLEEPS.get(name, A_MOMENT)}"] for name in POINTS}
    charges = [
        f"{name}={action}@{tickets / name}.{action.partition(':')[0]}"
        for name, actions in points.items()
        for action in actions
    ]
    monkeypatch.setenv(VARIABLE, ",".join(charges))
    return site


def ticket(site: RealSite, point: str, action: str) -> Path:
    """Let the point go off, once. The ticket is gone when it did."""
    path = site.folder / "tickets" / f"{point}.{action}"
    path.touch()
    return path


def until_taken(site: RealSite, path: Path) -> None:
    site.until(lambda: not path.exists(), what=f"{path.name} went off")


def use_up_processes(site: RealSite, point: str, action: str) -> list[JobHandle]:
    """Run jobs, one after the other, until another process is started, where the point goes off. No job waits
    then."""
    # After an error in a process none is started for a while. Then there would be no other to take the jobs.
    there = set(job_processes(site))
    site.until(lambda: site.run("Plain.nothing") and set(job_processes(site)) - there, what="others are started")
    left = ticket(site, point, action)
    jobs: list[JobHandle] = []
    while left.exists():
        assert len(jobs) <= 2 * MOST_IDLE, site.describe()
        jobs.append(site.dispatch("Plain.nothing"))
        site.wait(jobs[-1])
    return jobs


def job_processes(site: RealSite) -> list[int]:
    return [item.pid for item in site.processes() if "bgjobs: job" in " ".join(item.cmdline())]


def told(site: RealSite, job: JobHandle) -> tuple[str, int, list[str], int, int]:
    """What became of a job: status, retries, the outcome of each attempt, and how often it started and ended."""
    row = site.row(job.id)
    outcomes = [attempt.outcome for attempt in site.attempts(job.id)]
    return (
        row.status,
        row.retry_count,
        outcomes,
        len(site.events(job.id, "start")),
        len(site.events(job.id, "end")),
    )


RAN_ONCE = ("completed", 0, ["completed"], 1, 1)


# -- the caller ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_a_transaction", [(), ("in a transaction",)], ids=["", "session="])
@pytest.mark.parametrize("point", ["enqueue.before_commit", "enqueue.after_commit"])
def test_caller(site: RealSite, point: str, in_a_transaction: tuple[str, ...]) -> None:
    """A job is there when it was committed, whole, and else not at all. An error reaches the caller, who can go
    on; a job of which nobody told the supervisor is found all the same."""
    site.until_supervised_after(site.dispatch("Plain.nothing"))
    ((last,),) = site.query("SELECT max(id) FROM background_jobs")
    caller = site.python(DISPATCH, point, *in_a_transaction, stdout=-1)
    printed = caller.communicate(timeout=60)[0].split()
    ids = [job_id for (job_id,) in site.query("SELECT id FROM background_jobs WHERE id > ?", last)]
    assert caller.returncode == -signal.SIGKILL
    # Of the dispatch that met an error, the one after it, and the one that was killed.
    committed = [True, True, True] if point == "enqueue.after_commit" else [False, True, False]
    assert len(ids) == sum(committed)
    assert printed == ["FailPointReached", str(ids[committed[0]])]
    logs = site.query("SELECT DISTINCT background_job_id FROM job_logs WHERE background_job_id > ?", last)
    assert [job_id for (job_id,) in logs] == ids
    for job in map(site.handle, ids):
        site.wait(job, seconds=SOON)
        assert told(site, job) == RAN_ONCE


# -- the supervisor --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("point", "action", "expected"),
    [
        # What was not committed did not happen.
        ("claim.before_commit", "kill9", RAN_ONCE),
        ("claim.before_commit", "raise", RAN_ONCE),
        ("claim.after_commit", "kill9", ("completed", 0, ["released", "completed"], 1, 1)),
        ("claim.after_commit", "raise", ("completed", 0, ["released", "completed"], 1, 1)),
        # The process has its outcome until it is acknowledged, and writes it itself.
        ("outcome.before_commit", "kill9", RAN_ONCE),
        ("outcome.before_commit", "raise", RAN_ONCE),
        # F23: and does not run again what is committed.
        ("outcome.after_commit", "kill9", RAN_ONCE),
        ("outcome.after_commit", "raise", RAN_ONCE),
    ],
)
def test_supervisor(site: RealSite, point: str, action: str, expected: object) -> None:
    """Another one takes the place of a dead one; after an error it goes on itself."""
    before = site.until_supervised_after(site.dispatch("Plain.nothing")).pid
    left = ticket(site, point, action)
    jobs = [site.dispatch("Plain.nothing", max_retries=0)]
    until_taken(site, left)
    jobs.append(site.dispatch("Plain.nothing", max_retries=0))  # one that knows nothing of it
    site.wait(*jobs)
    assert told(site, jobs[0]) == expected
    assert told(site, jobs[1]) == RAN_ONCE
    if action == "kill9":
        assert site.until_supervised(before).pid != before
    else:
        assert site.supervisors() == [before]


# -- the fork server -------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("point", ["fork.before", "fork.after"])
def test_fork_server(site: RealSite, point: str, action: str) -> None:
    """Whatever ends it, another one takes its place: no job that runs or waits notices, nor the supervisor."""
    held = site.dispatch("Plain.hold", {"gate": f"{point}.{action}"})
    site.until_noted(held)
    before = site.until_supervised()
    left = ticket(site, point, action)
    jobs = [site.dispatch("Plain.nothing", max_retries=0) for _ in range(MOST_IDLE)]
    until_taken(site, left)
    site.wait(*jobs)
    site.open_gate(f"{point}.{action}")
    site.wait(held)
    assert [told(site, job) for job in (held, *jobs)] == [RAN_ONCE] * (MOST_IDLE + 1)
    site.until_told(lambda status: status.fork_server_pid not in (None, before.fork_server_pid))
    assert site.supervisors() == [before.pid]


# -- the process of a job --------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("point", ["job.before_ready", "job.before_go"])
def test_job_process_without_a_job(site: RealSite, point: str, action: str) -> None:
    """It is replaced. A job that was meant for it has not begun, so it is put back and loses no retry."""
    before = use_up_processes(site, point, action)
    jobs = [*before, *(site.dispatch("Plain.nothing", max_retries=0) for _ in range(6))]
    site.wait(*jobs)
    for job in jobs:
        status, retries, outcomes, starts, ends = told(site, job)
        assert (status, retries, starts, ends) == ("completed", 0, 1, 1)
        assert outcomes in (["completed"], ["released", "completed"])
    site.until_told(lambda status: status.app_error is None)


@pytest.mark.parametrize(
    ("point", "action", "expected"),
    [
        # Once its process has the job, nobody else can tell whether it has begun: that is an attempt.
        ("run.before", "kill9", ("completed", 1, ["lost", "completed"], 1, 1)),
        ("run.before", "raise", ("completed", 1, ["lost", "completed"], 1, 1)),
        ("run.mid", "kill9", ("completed", 1, ["lost", "completed"], 2, 1)),
        ("run.mid", "raise", ("completed", 1, ["failed", "completed"], 2, 1)),
        # F23: work that nobody heard of is done again (at least once), and work that was reported is not.
        ("outcome.before_report", "kill9", ("completed", 1, ["lost", "completed"], 2, 2)),
        ("outcome.before_report", "raise", ("completed", 1, ["lost", "completed"], 2, 2)),
        ("outcome.after_report", "kill9", RAN_ONCE),
        ("outcome.after_report", "raise", RAN_ONCE),
    ],
)
def test_job_process(site: RealSite, point: str, action: str, expected: object) -> None:
    before = site.until_supervised_after(site.dispatch("Plain.nothing"))
    left = ticket(site, point, action)
    job = site.dispatch("Plain.reach_the_middle")
    site.wait(job)
    assert not left.exists()
    assert told(site, job) == expected
    assert site.supervisors() == [before.pid]


def test_job_process_that_dies_before_it_reads_its_job(site: RealSite) -> None:
    """The job was sent, and not read. From outside that looks like a job that has begun: it costs an attempt."""
    use_up_processes(site, "job.before_go", "sleep")
    jobs = [site.dispatch("Plain.nothing") for _ in range(6)]

    def alone() -> list[JobHandle]:
        open_ones = [job for job in jobs if site.row(job.id).status in ("pending", "running")]
        return open_ones if len(open_ones) == 1 else []

    (job,) = site.until(alone, what="all jobs have ended but that of the process that sleeps")
    row = site.row(job.id)
    assert (row.status, site.events(job.id)) == ("running", [])
    site.kill(row.pid)
    site.wait(*jobs)
    assert told(site, job) == ("completed", 1, ["lost", "completed"], 1, 1)
    assert [told(site, other) for other in jobs if other is not job] == [RAN_ONCE] * 5


def test_job_process_that_does_not_get_ready(restless_site: RealSite) -> None:
    """F21: it hangs, so it is killed and replaced; no job notices."""
    site = restless_site
    held = site.dispatch("Plain.hold", {"gate": "unready"})
    pid = site.until_noted(held).pid
    before = use_up_processes(site, "job.before_ready", "sleep")
    # Those that wait, the oldest first, are used up by as many jobs; the one that hangs by nothing but its death.
    there = set(job_processes(site)) - {pid}
    jobs = [*before, *(site.dispatch("Plain.nothing") for _ in there)]
    assert died_within(there, READY_WITHIN + SOON)
    site.open_gate("unready")
    site.wait(held, *jobs)
    assert [told(site, job) for job in (held, *jobs)] == [RAN_ONCE] * (len(jobs) + 1)


def test_job_process_that_is_not_ready_when_the_supervisor_leaves(restless_site: RealSite) -> None:
    """Nobody would be there to kill it when its time is over."""
    site = restless_site
    left = ticket(site, "job.before_ready", "sleep")
    site.run("Plain.nothing")
    until_taken(site, left)
    site.until(lambda: not site.processes(), SOON, what="everybody left")


# -- the supervisor comes and goes -----------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("point", ["boot.before_lock", "boot.before_listening"])
def test_supervisor_that_does_not_come_up(site: RealSite, point: str, action: str) -> None:
    """The job waits for the next one that anybody starts, and nothing stands in that one's way."""
    site.stop()
    left = ticket(site, point, action)
    job = site.dispatch("Plain.nothing")
    until_taken(site, left)
    site.until(lambda: not site.processes(), SOON, what="it is gone")
    assert told(site, job) == ("pending", 0, [], 0, 0)
    site.wait(job, site.dispatch("Plain.nothing"))
    assert told(site, job) == RAN_ONCE


@pytest.mark.parametrize("action", ACTIONS)
def test_supervisor_that_was_about_to_leave(restless_site: RealSite, action: str) -> None:
    site = restless_site
    left = ticket(site, "idle.before_unlock", action)
    site.run("Plain.nothing")
    until_taken(site, left)
    # Killed, it is taken for dead by the fork server, which starts another one; that leaves as it should.
    site.until(lambda: not site.processes(), what="everybody left")
    job = site.dispatch("Plain.nothing")
    site.wait(job)
    assert told(site, job) == RAN_ONCE


def test_supervisor_that_does_not_leave_after_all(restless_site: RealSite) -> None:
    """After an error in its last look it listens again."""
    site = restless_site
    left = ticket(site, "idle.before_unlock", "raise")
    site.run("Plain.nothing")
    until_taken(site, left)
    job = site.dispatch("Plain.hold", {"gate": "after all"})
    site.until_noted(job)
    assert ring(site.state.folder.path)
    site.open_gate("after all")
    site.wait(job)
    assert told(site, job) == RAN_ONCE


def test_job_that_comes_while_the_supervisor_leaves(restless_site: RealSite) -> None:
    """It has looked for the last time, and its doorbell is gone: the caller starts the next one."""
    site = restless_site
    left = ticket(site, "idle.before_unlock", "sleep")
    leaving = site.until_supervised_after(site.dispatch("Plain.nothing")).pid
    until_taken(site, left)
    job = site.dispatch("Plain.nothing")
    assert site.supervisors() == [leaving]
    site.wait(job, seconds=A_MOMENT + SOON)
    assert told(site, job) == RAN_ONCE
    assert died_within([leaving], SOON)


@pytest.mark.parametrize("action", ACTIONS)
def test_supervisor_that_has_stopped(site: RealSite, action: str) -> None:
    """What ran was put back before, and the lock is free whatever happens."""
    gate = f"stopped.{action}"
    held = site.dispatch("Plain.hold", {"gate": gate}, max_retries=0)
    site.until_noted(held)
    left = ticket(site, "shutdown.before_release", action)
    os.kill(site.until_supervised().pid, signal.SIGTERM)
    site.until(lambda: not site.processes(), SOON, what="everybody left")
    assert not left.exists()
    assert told(site, held) == ("pending", 0, ["released"], 1, 0)
    site.open_gate(gate)
    site.wait(held, site.dispatch("Plain.nothing"))
    assert told(site, held) == ("completed", 0, ["released", "completed"], 2, 1)


# -- SIGTERM in the midst of it (F20) --------------------------------------------------------------------


@pytest.mark.parametrize("point", ["boot.before_lock", "boot.before_listening"])
def test_sigterm_while_it_comes_up(site: RealSite, point: str) -> None:
    """It claims nothing any more and leaves."""
    site.stop()
    left = ticket(site, point, "sleep")
    job = site.dispatch("Plain.nothing")
    until_taken(site, left)
    terminated_in_time(site)
    assert told(site, job) == ("pending", 0, [], 0, 0)
    site.wait(job, site.dispatch("Plain.nothing"))
    assert told(site, job) == RAN_ONCE


def test_sigterm_while_it_leaves_for_want_of_work(restless_site: RealSite) -> None:
    site = restless_site
    left = ticket(site, "idle.before_unlock", "sleep")
    site.run("Plain.nothing")
    until_taken(site, left)
    terminated_in_time(site)


def test_sigterm_while_it_stops(site: RealSite) -> None:
    """Again, when it has done all that it was told to do."""
    held = site.dispatch("Plain.hold", {"gate": "stopping"}, max_retries=0)
    site.until_noted(held)
    pid = site.until_supervised().pid
    left = ticket(site, "shutdown.before_release", "sleep")
    os.kill(pid, signal.SIGTERM)
    until_taken(site, left)
    terminated_in_time(site)
    assert told(site, held) == ("pending", 0, ["released"], 1, 0)
    site.open_gate("stopping")
    site.wait(held, site.dispatch("Plain.nothing"))
    assert told(site, held) == ("completed", 0, ["released", "completed"], 2, 1)


def terminated_in_time(site: RealSite) -> None:
    """SIGTERM to the supervisor that sleeps at a fail point: it leaves when it wakes up, and so does everybody."""
    (pid,) = [item.pid for item in site.processes() if "bgjobs.supervisor.main" in item.cmdline()]
    for _ in range(3):
        os.kill(pid, signal.SIGTERM)
    assert died_within([pid], A_MOMENT + KILL_GRACE + SOON)
    until(lambda: not site.processes(), SOON, what="everybody left")
