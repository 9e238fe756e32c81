"""F36: in whatever order dispatches, claims, outcomes, deaths and requests come, the store keeps its word.

Hypothesis plays callers, supervisors and processes against the real store on a real SQLite file, beside a model
that is small enough to be believed. After each step the tables are what the model says, and the rules in
``_rules_of_one_job`` hold, which know nothing of the model.

The normal run plays the same 50 games each time; with ``BGJOBS_EXAMPLES=500``, as in ``make faults``, that many
new ones.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import event, select

from bgjobs import lookups, pausing
from bgjobs.custom_logger import CustomLogger
from bgjobs.database import Database
from bgjobs.exceptions import InvalidTransition
from bgjobs.models import ENDED, STATUSES
from bgjobs.processes import identity
from bgjobs.redaction import Redactor
from bgjobs.retry import RetryPolicy
from bgjobs.runner.lost import Traces, lost
from bgjobs.runner.outcome import Execution, Outcome
from bgjobs.store import _FINISH, NewJob, Store
from bgjobs.supervisor import recovery
from bgjobs.transition import JOB_COLUMNS

GAMES = int(os.environ.get("BGJOBS_EXAMPLES", "50"))
MOST_RETRIES = 3
QUEUES = ("default", "default", "mail")
HOUR = timedelta(hours=1)

outcomes = st.builds(
    lambda kind, retry_in: Outcome(kind, exception_type="ValueError", exception_message="no", retry_in=retry_in),
    st.sampled_from(["completed", "failed", "failed", "timed_out", "cancelled", "stopped", "lost", "released"]),
    # Also where no retry is left: the store decides that, whatever a process says.
    st.sampled_from([None, 0.0, 5.0, 5.0, 90.0]),
)
some = st.integers(0, 10**6)
"""Picks one of however many there are."""

# One rule with all moves, instead of a rule for each: of rules, Hypothesis leaves out a random half in each game,
# and a game without claims or without outcomes is none.
_moves: list[st.SearchStrategy] = []


def move(*, weight=1, **strategies):
    """Something that may happen at any time, ``weight`` times as often as others."""

    def register(method):
        _moves.extend([st.tuples(st.just(method), st.fixed_dictionaries(strategies))] * weight)
        return method

    return register


@dataclass
class Job:
    """What the model knows of a job."""

    queue: str
    priority: int
    scheduled_at: datetime
    max_retries: int
    retry_count: int
    status: str = "pending"
    stop_asked: bool = False
    paused: bool = False
    attempts: list[str | None] = field(default_factory=list)  # how each ended
    budget_began: int = 0  # number of attempts when it was dispatched, or put back by hand
    retry_began: int = 0  # its retry_count at that moment

    def end(self, outcome: Outcome, now: datetime) -> None:
        """What the contract says an outcome makes of a running job."""
        kind, retry_in = outcome.kind, outcome.retry_in
        policy = RetryPolicy(self.max_retries, 5.0)
        if kind == "stopped" and not self.stop_asked:
            kind, retry_in = "lost", policy.delay_after(self.retry_count)  # nobody of ours sent the signal
        if self.stop_asked and kind != "completed":
            kind = "cancelled"
        self.attempts[-1] = "cancelled" if kind == "stopped" else kind
        self.paused = False
        if kind in ("failed", "timed_out", "lost"):
            if retry_in is not None and self.retry_count < self.max_retries:
                self.status = "pending"
                self.retry_count += 1
                self.scheduled_at = now + timedelta(seconds=retry_in)
            else:
                self.status = "failed"
        else:
            self.status = {"released": "pending"}.get(kind, kind)


class Games(RuleBasedStateMachine):
    """Callers, a supervisor that may die, and processes that may die, on one database."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="games"))
        shutil.copy(Games.empty, self.folder / "jobs.db")
        database = Database(f"sqlite:///{self.folder / 'jobs.db'}")
        event.listen(database.engine, "connect", _without_waiting_for_the_disk)
        self.store = Store(database, CustomLogger(str(self.folder)), Redactor())
        self.now = datetime(2030, 1, 1, 12, tzinfo=UTC)
        self.jobs: dict[int, Job] = {}
        self.paused: set[str] = set()
        self.living: dict[int, str] = {}  # start times by pid, as /proc has them
        self.in_hand: dict[str, Execution] = {}  # what the supervisor knows, by token
        self.current: dict[str, Execution] = {}  # what is running, whoever knows it
        self.over: list[Execution] = []  # executions that were written down as ended
        self.logs: list = []
        self.completed: dict[int, tuple] = {}
        self.patches = [
            mock.patch.object(identity, "start_time", self.living.get),
            mock.patch.object(recovery, "is_job_process", return_value=True),
        ]
        for patch in self.patches:
            patch.start()

    def teardown(self) -> None:
        for patch in self.patches:
            patch.stop()
        self.store.database.dispose()
        shutil.rmtree(self.folder)

    # -- callers -----------------------------------------------------------------------------------------

    @initialize(paused=st.booleans())
    def begin_with_one_job(self, paused):
        self.dispatch(2, 0, "default", 0, 0)
        if paused:
            self.pause_or_resume_a_queue("mail")

    @move(
        weight=2,
        max_retries=st.integers(0, MOST_RETRIES),
        retry_count=st.sampled_from([0, 0, 0, 1, MOST_RETRIES]),
        queue=st.sampled_from(QUEUES),
        priority=st.integers(-2, 2),
        delay=st.sampled_from([0, 0, 0, 3, 20]),
    )
    def dispatch(self, max_retries, retry_count, queue, priority, delay):
        when, retry_count = self.now + timedelta(seconds=delay), min(retry_count, max_retries)
        new = NewJob("app.Job", "run", {}, when, queue, priority, retry_count, max_retries, 5.0, None)
        with self.store.changing() as changes:
            (job_id,) = changes.enqueue_all([new], now=self.now)
        assert job_id not in self.jobs
        self.jobs[job_id] = Job(queue, priority, when, max_retries, retry_count, retry_began=retry_count)

    @move(weight=2, chosen=some)
    def cancel(self, chosen):
        job_id, job = self.one_of(self.jobs.items(), chosen)
        with self.refused_unless(job.status in ("pending", "running")), self.store.changing() as changes:
            assert changes.cancel(job_id, now=self.now) == ("cancelled" if job.status == "pending" else "running")
        if job.status in ("pending", "running"):
            job.stop_asked = True
            job.status = "cancelled" if job.status == "pending" else "running"

    @move(weight=3, chosen=some)
    def retry_by_hand(self, chosen):
        job_id, job = self.one_of(self.jobs.items(), chosen)
        with self.refused_unless(job.status in ("failed", "cancelled")), self.store.changing() as changes:
            changes.retry(job_id, now=self.now)
        if job.status in ("failed", "cancelled"):
            job.status, job.stop_asked, job.scheduled_at = "pending", False, self.now
            job.retry_count = job.retry_began = 0
            job.budget_began = len(job.attempts)

    @move(chosen=some)
    def pause(self, chosen):
        job_id, job = self.one_of(self.jobs.items(), chosen)
        possible = job.status == "running" and not job.paused
        with self.refused_unless(possible), self.store.changing() as changes:
            pausing.pause_on(changes, job_id, now=self.now)
        job.paused = job.paused or possible

    @move(chosen=some)
    def resume(self, chosen):
        job_id, job = self.one_of(self.jobs.items(), chosen)
        with self.refused_unless(job.status == "running" and job.paused), self.store.changing() as changes:
            pausing.resume_on(changes, job_id, now=self.now)
        job.paused = False

    @move(queue=st.sampled_from(QUEUES))
    def pause_or_resume_a_queue(self, queue):
        if queue in self.paused:
            pausing.resume_queue(self.store, queue)
        else:
            assert pausing.pause_queue(self.store, queue)
        self.paused ^= {queue}

    # -- the supervisor and its processes ----------------------------------------------------------------

    @move(weight=5, most=st.integers(1, 4))
    def claim(self, most):
        due = [
            (job.priority, job.scheduled_at, job_id)
            for job_id, job in self.jobs.items()
            if job.status == "pending" and job.scheduled_at <= self.now and job.queue not in self.paused
        ]
        seats = [self.new_process().columns() for _ in range(most)]
        with self.store.changing() as changes:
            claimed = changes.claim(seats, backend="local", now=self.now)
        assert [execution.id for execution in claimed] == [job_id for _, _, job_id in sorted(due)][:most]
        for execution in claimed:
            job = self.jobs[execution.id]
            job.status = "running"
            job.attempts.append(None)
            assert (execution.retry_count, execution.attempt) == (job.retry_count, len(job.attempts))
            self.in_hand[execution.token] = self.current[execution.token] = execution

    @move(weight=6, chosen=some, outcome=outcomes)
    def an_execution_ends(self, chosen, outcome):
        """Written by the supervisor, or by the process itself where the supervisor is dead."""
        if not self.current:  # else half of the ends would find nothing to end
            waiting = [job.scheduled_at for job in self.jobs.values() if job.status == "pending"]
            self.now = max(self.now, min(waiting, default=self.now))
            self.claim(2)
        if self.current:
            self.end(self.one_of(self.current.values(), chosen), outcome)

    @move(chosen=some, outcome=outcomes, late=outcomes)
    def an_execution_ends_twice_in_one_change(self, chosen, outcome, late):
        if self.current:
            self.end(self.one_of(self.current.values(), chosen), outcome, late)

    @move(chosen=some, outcome=outcomes)
    def a_late_or_repeated_outcome_changes_nothing(self, chosen, outcome):
        if not self.over:
            return
        stale = self.one_of(self.over, chosen)
        before = self.everything()
        with self.store.database.writing() as connection:
            written = connection.exec_driver_sql("SELECT total_changes()").scalar()
            values = {f"new_{column}": None for column in JOB_COLUMNS}
            _FINISH.execute(
                connection, [{**values, "new_status": "failed", "key": stale.id, "token": stale.token}]
            )
            assert connection.exec_driver_sql("SELECT total_changes()").scalar() == written
        with self.store.changing() as changes:
            changes.progress(stale, 1, 2, "stale")
            assert changes.finish([(stale, outcome)], now=self.now) == {}
        assert self.everything() == before

    @move(survivors=some)
    def the_supervisor_dies_and_another_looks_around(self, survivors):
        """All that it knew is forgotten; some of the processes die with it."""
        self.in_hand.clear()
        pids = dict.fromkeys(self.living)
        for number, pid in enumerate(pids):
            if not survivors >> number % 20 & 1:
                del self.living[pid]
        with self.store.database.reading() as connection:
            found = recovery.survey(connection, self.in_hand.keys(), lambda connection: None)
        recorded = {execution.token: execution for execution, _, _ in (*found.alive, *found.gone)}
        assert recorded == self.current
        assert {seen.pid for _, seen, _ in found.alive} <= self.living.keys()
        self.in_hand = {execution.token: execution for execution, _, _ in found.alive}
        for execution, _, _ in found.gone:
            self.end(execution, lost(execution, Traces()))

    @move()
    def the_supervisor_finds_nothing_it_does_not_know(self):
        with self.store.database.reading() as connection:
            found = recovery.survey(connection, self.in_hand.keys(), lambda connection: None)
        assert found == recovery.Survey(current=set(self.in_hand))

    # -- time --------------------------------------------------------------------------------------------

    @move(weight=4, seconds=st.sampled_from([0.000_001, 1, 5, 30, 90]))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)

    @move(step=st.sampled_from([-HOUR, HOUR]))
    def somebody_sets_the_clock(self, step):
        self.now += step

    @rule(happening=st.deferred(lambda: st.one_of(_moves)))
    def play(self, happening):
        method, arguments = happening
        method(self, **arguments)

    # -- what must hold ----------------------------------------------------------------------------------

    @invariant()
    def the_tables_are_what_the_model_says(self):
        jobs, attempts, logs = self.everything()
        attempts_of = {row.id: [item for item in attempts if item.background_job_id == row.id] for row in jobs}
        assert {row.id for row in jobs} == self.jobs.keys()
        assert logs[: len(self.logs)] == self.logs  # they are appended, never changed
        self.logs = logs
        for row in jobs:
            job = self.jobs[row.id]
            assert (row.status, row.retry_count, row.scheduled_at) == (
                job.status,
                job.retry_count,
                job.scheduled_at,
            )
            assert [attempt.outcome for attempt in attempts_of[row.id]] == job.attempts
            assert (row.cancel_requested_at is not None) == job.stop_asked
            assert (row.paused_at is not None and row.status == "running") == job.paused
            _rules_of_one_job(row, attempts_of[row.id], [log for log in logs if log.background_job_id == row.id])
            counted = sum(outcome != "released" for outcome in job.attempts[job.budget_began :])
            assert counted <= job.max_retries - job.retry_began + 1
            assert self.completed.setdefault(row.id, row) == row if row.status == "completed" else True
        assert self.completed.keys() == {row.id for row in jobs if row.status == "completed"}
        assert {row.execution_token for row in jobs if row.status == "running"} == self.current.keys()

    # -- small steps -------------------------------------------------------------------------------------

    def end(self, execution, *reported):
        """The first of the outcomes counts, and is said once."""
        job = self.jobs[execution.id]
        told = self.count_logs()
        with self.store.changing() as changes:
            statuses = changes.finish([(execution, outcome) for outcome in reported], now=self.now)
        job.end(reported[0], self.now)
        assert statuses == {execution.token: job.status}
        retried = job.status == "pending" and job.attempts[-1] != "released"
        assert self.count_logs() == told + 1 + retried
        self.in_hand.pop(execution.token, None)
        self.over.append(self.current.pop(execution.token))

    def new_process(self):
        pid = 4711 + len(self.living) + len(self.over) * 100 + len(self.jobs) * 10_000
        while pid in self.living:
            pid += 1
        self.living[pid] = f"{pid} ticks"
        return identity.identity_of(pid, self.living[pid])

    def everything(self):
        with self.store.database.reading() as connection:
            return [
                connection.execute(select(table).order_by(table.c.id)).all()
                for table in (lookups.jobs, lookups.attempts, lookups.logs)
            ]

    def count_logs(self):
        with self.store.database.reading() as connection:
            return connection.exec_driver_sql("SELECT count(*) FROM job_logs").scalar()

    def refused_unless(self, possible):
        return mock.MagicMock() if possible else pytest.raises(InvalidTransition)

    @staticmethod
    def one_of(things, chosen):
        return list(things)[chosen % len(things)]


def _rules_of_one_job(row, attempts, logs):
    """What is true of a job whatever has happened to it."""
    assert row.status in STATUSES
    assert 0 <= row.retry_count <= row.max_retries <= MOST_RETRIES
    assert row.attempt == len(attempts)
    assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
    still_open = [attempt for attempt in attempts if attempt.ended_at is None]
    assert [attempt.execution_token for attempt in still_open] == (
        [row.execution_token] if row.status == "running" else []
    )
    assert all((attempt.outcome is None) == (attempt.ended_at is None) for attempt in attempts)
    assert all(attempt.ended_at >= attempt.started_at for attempt in attempts if attempt.ended_at is not None)
    assert (row.completed_at is not None) == (row.status in ENDED)
    assert row.completed_at is None or row.started_at is None or row.completed_at >= row.started_at
    if attempts:
        assert (row.execution_token, row.pid) == (attempts[-1].execution_token, attempts[-1].pid)
        assert row.started_at == attempts[-1].started_at
    if row.status == "completed":
        assert attempts[-1].outcome == "completed"
        assert sum(attempt.outcome == "completed" for attempt in attempts) == 1
        assert row.error_message is None
    if row.status == "failed":
        assert attempts[-1].outcome in ("failed", "timed_out", "lost")
    messages = [log.message for log in logs]
    assert messages.count("Background job started") == len(attempts)
    for outcome, told in (
        ("completed", "Background job completed processing"),
        ("released", "Put back to pending"),
    ):
        assert sum(message.startswith(told) for message in messages) == sum(
            attempt.outcome == outcome for attempt in attempts
        )
    failures = sum(attempt.outcome in ("failed", "timed_out", "lost") for attempt in attempts)
    assert sum(log.type == "failure" for log in logs) == failures


def _without_waiting_for_the_disk(connection, record):
    connection.execute("PRAGMA synchronous=OFF").close()


@pytest.fixture(autouse=True, scope="module")
def games(empty_database):
    Games.empty = empty_database


TestGames = pytest.mark.timeout(600)(Games.TestCase)  # to make a failure small takes minutes
TestGames.settings = settings(
    max_examples=GAMES, stateful_step_count=30, deadline=None, derandomize="BGJOBS_EXAMPLES" not in os.environ
)
