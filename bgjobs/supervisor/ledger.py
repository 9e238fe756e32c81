"""The supervisor's book: which jobs run where, what they reported, and the transaction that writes it down."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.exc import StatementError

from bgjobs import clock, lookups, output_store, samples
from bgjobs import custom_logger as wording
from bgjobs.custom_logger import console
from bgjobs.deadlocks import outlasting_deadlocks
from bgjobs.fail_points import ARMED, reach
from bgjobs.limits import added_niceness
from bgjobs.models import PENDING
from bgjobs.output import read_tail, trim
from bgjobs.output_store import Printed
from bgjobs.processes import signals
from bgjobs.processes.channel import Message
from bgjobs.processes.identity import ProcessIdentity
from bgjobs.processes.out_of_memory import OutOfMemoryCounter
from bgjobs.processes.pool import Pool
from bgjobs.processes.process import Ended, Process
from bgjobs.processes.watch import DeathWatch
from bgjobs.runner.lost import Traces, lost
from bgjobs.runner.outcome import Execution, Outcome
from bgjobs.samples import Sample
from bgjobs.state_folder import StateFolder, output_name
from bgjobs.store import Changes, Store
from bgjobs.supervisor.feed import Fed
from bgjobs.supervisor.memory_guard import MemoryGuard
from bgjobs.supervisor.older_code import with_another_chance
from bgjobs.supervisor.output_feed import OutputFeed
from bgjobs.supervisor.recovery import Recorded, seconds_run, survey
from bgjobs.supervisor.requests import Requested, requested
from bgjobs.supervisor.running import RunningJob
from bgjobs.supervisor.sampling import Sampler
from bgjobs.supervisor.tenancy import Tenancy

_TAIL_OF_A_LOST_JOB = 16 * 1024
# Jobs that a process has in hand at the most: what waits behind a job that turns out to be long waits with it.
_MOST_IN_HAND = 16


class Ledger:
    """Every execution that this supervisor answers for, from its claim to its committed outcome."""

    def __init__(
        self, store: Store, folder: StateFolder, kill_grace: float, output_max: int, backend: str = "local"
    ) -> None:
        self._store = store
        self._backend = backend
        self._folder = folder
        self._kill_grace = kill_grace
        self._output_max = output_max
        self.out_of_memory = OutOfMemoryCounter()
        self._memory = MemoryGuard(kill_grace)
        self._sampler = Sampler()
        self._samples: list[Sample] = []  # to be written
        # Where the database is a file, whoever can read it is on this host and can read the output, too.
        self._feed = None if store.database.is_sqlite else OutputFeed(folder)
        self._printed: list[Printed] = []  # to be written
        self._outcomes: dict[str, tuple[Execution, Outcome]] = {}  # to be written, by execution token
        self._words: list[tuple[Execution, Message]] = []  # progress and logs, to be written
        self._unreaped: dict[str, ProcessIdentity] = {}  # ended when no server was there: by execution token
        self._in_hand: dict[Process, list[RunningJob]] = {}  # not reported yet; the first one is being run
        self.running: dict[str, RunningJob] = {}  # by execution token
        self.stopping = False
        self.put_back = False  # whether the last transaction made a job pending again
        self.runs_elsewhere = False  # whether jobs ran on other machines when we looked last

    @property
    def has_unwritten(self) -> bool:
        return bool(self._outcomes or self._words or self._samples or self._printed)

    @property
    def working(self) -> int:
        """How many jobs are being run at this moment; those that reported are not, nor those that wait."""
        waiting = sum(len(jobs) - 1 for jobs in self._in_hand.values())
        return len(self.running) - len(self._outcomes) - waiting

    # -- hear ----------------------------------------------------------------------------------------

    def heed(self, process: Process, message: Message) -> None:
        """A process said something about its job."""
        running = self.running.get(message.get("token", ""))
        if running is None or running.process is not process:
            return
        if "outcome" in message:
            outcome = running.reported(Outcome.from_json(message["outcome"]))
            if self._backend == "celery":
                outcome = with_another_chance(running.job, outcome)
            self._record(running, outcome)
        else:
            if "progress" in message:
                running.progress = message["progress"]
            self._words.append((running.job, message))

    def note_end(self, end: Ended) -> None:
        """A process ended. If it was running a job and reported nothing, that is how the job ended."""
        in_it = [running for running in self.running.values() if running.process is end.process]
        for running in [item for item in in_it if not item.has_begun]:
            in_it.remove(running)
            self._record(running, Outcome("released"))
        for running in in_it:
            if end.status is None:
                self._unreaped[running.job.token] = running.identity
            self._lost(running, end.status, Outcome("lost", peak_rss=end.peak_rss, cpu_seconds=end.cpu_seconds))

    def climb_ladders(self) -> None:
        """Stop the jobs whose time or memory is over, kill those that did not stop."""
        self._memory.look_if_due(self.running.keys())
        for running in self.running.values():
            running.climb(self._kill_grace)

    def take_samples(self) -> None:
        """Look at what the running jobs use and print, once a second."""
        begun = [item for item in self.running.values() if item.has_begun]
        self._samples += self._sampler.take(begun)
        if self._feed is not None and not self._printed:  # else the database does not answer, and it would pile up
            self._printed += self._feed.take(begun)

    def next_step_at(self) -> float | None:
        """When a ladder has to be climbed next, on the monotonic clock."""
        steps = [running.next_step_at for running in self.running.values()]
        steps.append(self._memory.next_look_at)
        return min((step for step in steps if step is not None), default=None)

    def seats(self, takers: list[Process], free: int) -> list[Process]:
        """Who is given the next jobs, where a process may run several: first those that are at work, then as
        many others as there are ``free`` slots, one job each in turn.

        A process that got through all it had since the last claim may have twice as many in hand, one that
        got through none half as many: where jobs are long, none waits behind another.
        """
        for process in takers:
            now = len(self._in_hand.get(process, ()))
            if now == process.held:
                process.reach = max(1, process.reach // 2)
            elif not now and process.held == process.reach:
                process.reach = min(2 * process.reach, _MOST_IN_HAND)
            process.held = now
        working = [process for process in takers if process in self._in_hand]
        others = sorted((process for process in takers if process not in self._in_hand), key=_is_fresh)
        chosen = [(process, len(self._in_hand.get(process, ()))) for process in (*working, *others[:free])]
        return [
            process
            for place in range(_MOST_IN_HAND)
            for process, held in chosen
            if held <= place < min(process.reach, held + process.jobs_left)
        ]

    # -- write ---------------------------------------------------------------------------------------

    @outlasting_deadlocks
    def write_and_claim(
        self, seats: list[Process], *, look_for_requests: bool, fed: Collection[Fed] | None = None
    ) -> list[Execution]:
        """One transaction: outcomes, words, requests to stop, and due jobs for the waiting processes; where jobs
        are ``fed``, none but these.

        Returns the executions for ``seats``, in their order. Nothing was changed if it raises.
        """
        with self._store.changing() as changes:
            # The words first: they were said before, and nothing is noted of a job that has ended.
            self._write_words(changes)
            if self._samples:
                self._write_samples(changes)
            self._write_printed(changes)
            statuses = changes.finish(self._outcomes.values())
            asked = self._requested(changes) if look_for_requests else Requested()
            if ARMED and statuses:
                reach("outcome.before_commit")
            claimed = _claim(changes, seats, self._backend, fed) if seats else []
            if ARMED and claimed:
                reach("claim.before_commit")
        if ARMED and statuses:
            reach("outcome.after_commit")
        self.put_back = PENDING in statuses.values()
        self._close_written()
        self._kill_what_is_left(statuses)
        asked.carry_out(self._kill_grace)
        return claimed

    def write_one_by_one(self) -> None:
        """After a value that the database does not take: write the rest, and that one as a failure."""
        for token, (job, outcome) in list(self._outcomes.items()):
            try:
                with self._store.changing() as changes:
                    changes.finish([(job, outcome)])
            except (StatementError, sqlite3.Error, ValueError, TypeError, OverflowError) as error:
                message = f"the outcome could not be stored: {type(error).__name__}"
                self._outcomes[token] = (
                    job,
                    Outcome("failed", exception_type="JobRunnerException", exception_message=message),
                )
        self._words.clear()
        self._samples.clear()
        for item in self._printed:
            if self._feed is not None:
                self._feed.give_up(item.job)
        self._printed.clear()

    def begin(self, claimed: list[Execution], seats: list[Process], pool: Pool) -> None:
        """Say go. It is on disk who runs each job, so from here on anybody can notice its death."""
        for job, process in zip(claimed, seats, strict=False):
            assert process.identity is not None
            self.running[job.token] = running = RunningJob(job, process.identity, process, None, has_begun=False)
            in_hand = self._in_hand.setdefault(process, [])
            in_hand.append(running)
            process.held = len(in_hand)
            if in_hand[0] is running:
                self._begin(running)
            last = added_niceness(job.limits) > 0
            if not (process.takes_jobs and pool.assign(process, {"run": job.to_json()}, last=last)):
                # It died while it waited, so the job has not begun: that costs no attempt.
                self._record(running, Outcome("released"))

    def release_all(self) -> None:
        """Put what still runs back to pending, then kill it: its late outcome would be fenced out."""
        for running in self.running.values():
            self._outcomes.setdefault(running.job.token, (running.job, Outcome("released")))
        left = list(self.running.values())
        self.write_and_claim([], look_for_requests=False)
        for running in left:
            running.kill()

    # -- running jobs of others ----------------------------------------------------------------------

    def take_over(
        self, connection: Connection, watch: DeathWatch, own: Collection[ProcessIdentity], tenancy: Tenancy
    ) -> None:
        """Adopt running jobs that nobody here knows and whose process lives; recover the others, and let go of
        those that others have recovered. ``own`` are the processes of this supervisor."""
        found = survey(connection, self.running.keys() | self._outcomes.keys(), tenancy.heard_of)
        self.runs_elsewhere = bool(found.elsewhere)
        self._end_fenced_out(found.current)
        told = {running.job.id for running in self.running.values()}
        for recorded in found.alive:
            job, identity, _ = recorded
            if identity in own and job.id not in told:
                # Something went wrong when it was claimed or after that, so its process was never told to run it.
                # (One that we know by another token runs, and somebody has edited its row.)
                self._record(RunningJob(job, identity, None, None), Outcome("released"))
            else:
                self._adopt(recorded, watch)
        for job, identity, row in found.gone:
            self._lost(RunningJob(job, identity, None, None, progress=_progress(row)), None, Outcome("lost"))
        for job, identity, row in found.silent:
            traces = Traces(progress=_progress(row), silent_host=identity.host, silent_for=tenancy.seconds)
            self._record(RunningJob(job, identity, None, None), lost(job, traces))

    def _end_fenced_out(self, current: Collection[str]) -> None:
        """Kill what runs here and is not what its row says any more: others took this machine for gone and have
        recovered its jobs. What is still reported of such an execution changes nothing."""
        for token, running in self.running.items():
            if token in current or token in self._outcomes or running.killed:
                continue
            if running.has_begun:
                console.warning("Job %s was recovered by others; its process here is killed.", running.job.id)
                running.kill_for(None)
            else:  # a kill would be that of the job before it
                running.stop("kill", self._kill_grace)

    def _adopt(self, recorded: Recorded, watch: DeathWatch) -> None:
        job, identity, row = recorded
        deadline = None
        if job.timeout is not None and row.started_at is not None:
            deadline = time.monotonic() + job.timeout - seconds_run(row, clock.now(), identity.age())
        self.running[job.token] = running = RunningJob(job, identity, None, deadline, progress=_progress(row))
        if row.started_at is not None:
            running.started -= max(0.0, (clock.now() - row.started_at).total_seconds())
        self._memory.guard(running)
        if row.paused_at is not None:
            running.pause()
        elif row.paused_seconds is not None:  # it may have been resumed when nobody was there to do it
            signals.go_on(identity)
        watch.until_gone(identity, lambda: self._gone(running))

    # -- small steps ---------------------------------------------------------------------------------

    def _gone(self, running: RunningJob) -> None:
        """The process of an adopted job ended, and nobody told us how."""
        self._unreaped[running.job.token] = running.identity
        self._lost(running, None, Outcome("lost"))

    def _lost(self, running: RunningJob, status: int | None, usage: Outcome) -> None:
        """The process of a job is gone. What it reported before counts, if it did."""
        if running.job.token not in self._outcomes:
            path = self._folder.output_file(running.job.id, running.job.attempt)
            killed = status == -signal.SIGKILL and running.stop_reason is None
            traces = Traces(
                status,
                out_of_memory=self.out_of_memory.verdict() if killed else "unknown",
                progress=running.progress,
                output=read_tail(path, _TAIL_OF_A_LOST_JOB),
            )
            if usage.peak_rss is None:
                usage = running.seen
            self._record(running, running.ended(traces, usage), by_sigterm=status == -signal.SIGTERM)

    def _record(self, running: RunningJob, outcome: Outcome, *, by_sigterm: bool = False) -> None:
        if self.stopping and (outcome.kind == "stopped" or by_sigterm):
            # A service manager that stops us sends SIGTERM to the jobs as well: that costs no attempt.
            outcome = Outcome("released", peak_rss=outcome.peak_rss, cpu_seconds=outcome.cpu_seconds)
        self._outcomes[running.job.token] = running.job, outcome
        self._lay_down(running)

    def _begin(self, running: RunningJob) -> None:
        """Its process runs it from now on."""
        running.begin(self._kill_grace)
        if running.job.limits is not None:
            self._memory.guard(running)

    def _lay_down(self, running: RunningJob) -> None:
        """Its process has it in hand no longer, and goes on with the next one."""
        in_hand = self._in_hand.get(running.process) if running.process is not None else None
        if running.process is None or in_hand is None or running not in in_hand:
            return
        in_hand.remove(running)
        if not in_hand:
            del self._in_hand[running.process]
        elif not in_hand[0].has_begun:
            self._begin(in_hand[0])

    def _write_words(self, changes: Changes) -> None:
        progress = {}
        for job, message in self._words:
            if "progress" in message:
                progress[job.token] = job, message["progress"]  # the last one counts
            elif "log" in message:
                changes.log(job, message["log"])
        for job, values in progress.values():
            changes.progress(job, *values)

    def _write_samples(self, changes: Changes) -> None:
        thinned = samples.add(changes.connection, self._samples)
        self._sampler.look_less_often(item.job.token for item in self._samples if item.job.id in thinned)

    def _write_printed(self, changes: Changes) -> None:
        """With the outcome, or before it: whoever sees that a job has ended sees all that it printed."""
        if self._feed is not None:
            for job, _ in self._outcomes.values():
                self._printed += self._feed.rest(job)
            output_store.write(changes.connection, self._printed)

    def _requested(self, changes: Changes) -> Requested:
        open_ones = [running for token, running in self.running.items() if token not in self._outcomes]
        found = requested(lookups.requests(changes.connection), open_ones)
        for running, by in found.to_stop:
            changes.stopping(running.job, self._kill_grace, by)
        for running, by in found.to_kill:
            changes.note(wording.killed(running.job, by))
        return found

    def _close_written(self) -> None:
        """What was written needs no more care: let the processes go on, and cap the output."""
        for token, (job, _) in self._outcomes.items():
            running = self.running.pop(token, None)
            if running is not None and running.process is not None:
                running.process.acknowledge(token)
            trim(self._folder.output_file(job.id, job.attempt), self._most_output(job))
            if self._feed is not None:
                self._feed.forget(token)
        self._outcomes.clear()
        self._words.clear()
        self._samples.clear()
        self._printed.clear()

    def _kill_what_is_left(self, written: Collection[str]) -> None:
        """A server kills what a lost job leaves behind. Where it had died before, that is done here, once it is on
        record that the job was lost: one that ended well may leave something running."""
        for token, identity in self._unreaped.items():
            if token in written:
                signals.kill_what_is_left(identity)
        self._unreaped.clear()

    def trim_outputs(self) -> None:
        """Cap what running jobs have printed so far, with some room so that it is not done for each line."""
        for running in self.running.values():
            path, most = (
                self._folder.output_file(running.job.id, running.job.attempt),
                self._most_output(running.job),
            )
            shorter = trim(path, most, when_over=2 * most)
            if self._feed is not None:
                self._feed.trimmed(running.job, shorter)

    def _most_output(self, job: Execution) -> int:
        return self._output_max if job.limits is None else job.limits.get("output_max", self._output_max)


def _is_fresh(process: Process) -> bool:
    return process.in_flight == 0


def _claim(changes: Changes, seats: list[Process], backend: str, fed: Collection[Fed] | None) -> list[Execution]:
    columns = [process.identity.columns() for process in seats if process.identity is not None]
    return changes.claim(
        columns, backend=backend, output_path=lambda job: output_name(job.id, job.attempt), messages=fed
    )


def _progress(row: Row[Any]) -> Any:
    """What a row says of how far its job is; None where the job said nothing."""
    if row.progress_done is None:
        return None
    return row.progress_done, row.progress_total, row.progress_message
