"""A job process at work: it takes jobs from its channel, runs one after another and reports each."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from bgjobs.app_location import AppLocation, Expected
from bgjobs.app_state import AppState
from bgjobs.custom_logger import console
from bgjobs.exceptions import BackendUnavailable, DatabaseDamaged
from bgjobs.fail_points import ARMED, reach
from bgjobs.limits import added_niceness
from bgjobs.lookups import execution_of, running_in, whole_number
from bgjobs.output import open_output, remove_if_empty
from bgjobs.processes.channel import Channel, Message
from bgjobs.processes.identity import own_identity
from bgjobs.processes.reporter import Reporter
from bgjobs.processes.title import set_title
from bgjobs.runner.current_job import interrupt_current_job
from bgjobs.runner.custom_background_job_runner import resource_usage
from bgjobs.runner.outcome import Execution, Outcome
from bgjobs.state_folder import StateFolder
from bgjobs.store import Changes

# How long a process whose supervisor is gone tries to write its outcome while the database is away.
_TRIES, _PAUSE = 120, 1.0


@dataclass(frozen=True, slots=True)
class JobProcessConfig:
    """What a job process needs besides the application."""

    location: AppLocation
    expected: Expected
    folder: StateFolder
    jobs_per_process: int

    @classmethod
    def from_json(cls, data: Message) -> JobProcessConfig:
        return cls(
            AppLocation.from_json(data["location"]),
            Expected(**data["expected"]),
            StateFolder(data["folder"]),
            data["jobs_per_process"],
        )


class JobProcess:
    """Takes jobs from a channel, runs them one after another and reports each."""

    def __init__(self, channel: Channel, state: AppState, config: JobProcessConfig) -> None:
        self._channel = channel
        self._state = state
        self._config = config
        self._jobs_left = config.jobs_per_process
        self._in_hand: deque[Execution] = deque()  # to be run, in this order
        self._unacknowledged: dict[str, tuple[Execution, Message]] = {}  # reported, by execution token
        self._to_stop: set[str] = set()  # tokens of executions that the supervisor wants stopped
        self._running: Execution | None = None
        self._farewell = False
        self._status = 0

    def run(self) -> int:
        """Run as many jobs as this process may; 0 if the last one went well, otherwise 1."""
        if self._config.jobs_per_process > 1:
            signal.signal(signal.SIGTERM, lambda number, frame: self._stop_what_is_meant())
        while not self._farewell and (self._jobs_left or self._in_hand or self._unacknowledged):
            if self._in_hand and self._take_next():
                self._run_next()
            elif not self._hear_one():
                self._carry_on_alone()
                break
        return self._status

    def _hear_one(self) -> bool:
        """Wait for a message. False when the supervisor is gone."""
        message = self._channel.receive()
        if message is not None:
            self._heed(message)
        return message is not None

    def _take_next(self) -> bool:
        """Take the next job in hand, unless the supervisor is gone."""
        if self._config.jobs_per_process == 1:
            self._running = self._in_hand.popleft()
            return True
        # What has come meanwhile may be about this job. A signal waits until we know which job it meets.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        if alive := self._hear():
            self._running = self._in_hand.popleft()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        return alive

    def _hear(self) -> bool:
        """Take in what has come. False when the supervisor is gone."""
        for message in self._channel.received():
            self._heed(message)
        return not self._channel.closed

    def _heed(self, message: Message) -> None:
        if "run" in message:
            job = Execution(**message["run"])
            self._in_hand.append(job)
            self._jobs_left = 0 if added_niceness(job.limits) else self._jobs_left - 1
        elif "ack" in message:
            self._unacknowledged.pop(message["ack"], None)
        elif "stop" in message:
            self._to_stop.add(message["stop"])
        else:
            self._farewell = True

    def _run_next(self) -> None:
        job = self._running
        assert job is not None
        if ARMED:
            reach("run.before")
        outcome = Outcome("stopped") if job.token in self._to_stop else self._execute(job)
        self._running = None
        self._report(job, outcome)
        self._status = 0 if outcome.kind == "completed" else 1

    def _stop_what_is_meant(self) -> None:
        """SIGTERM to a process with several jobs in hand. It may come late, when the job that it was for has
        ended: so the supervisor names the job before it sends the signal."""
        if self._running is None:  # what came is read before the next job begins, and not by two at a time
            return
        if not self._hear() or self._running.token in self._to_stop:
            interrupt_current_job()

    def _execute(self, job: Execution) -> Outcome:
        output = self._config.folder.output_file(job.id, job.attempt)
        if nicer := added_niceness(job.limits):
            os.nice(nicer)
        _capture_output(output)
        set_title(f"bgjobs: job {job.id} {job.class_name}::{job.method_name}")
        reporter = Reporter(self._channel, self._state, job)
        with self._state.app.app_context():
            outcome = self._state.runner_class().run(job, self._state.approval, reporter, whole_process=True)
        flush_output()
        remove_if_empty(output)
        return outcome

    def _report(self, job: Execution, outcome: Outcome) -> None:
        """Hand over the outcome. It is ours until it is acknowledged, which is when it is committed."""
        peak_rss, cpu_seconds = resource_usage()
        told = {**outcome.to_json(), "peak_rss": peak_rss, "cpu_seconds": cpu_seconds}
        self._unacknowledged[job.token] = job, told
        if ARMED:
            reach("outcome.before_report")
        self._channel.send({"outcome": told, "token": job.token})
        if ARMED:
            reach("outcome.after_report")

    def _carry_on_alone(self) -> None:
        """The supervisor is gone: write what nobody took, put back what has not begun, and see to a new one."""
        for _ in range(_TRIES):
            try:
                with self._state.store_with(pooled=False).changing() as changes:
                    changes.finish([*self._reported(), *self._not_begun(changes)])
                break
            except BackendUnavailable as error:
                if isinstance(error, DatabaseDamaged) and not (self._unacknowledged or self._in_hand):
                    break  # it waits for a job, and nobody will give it one
                console.warning("A job process cannot write yet what became of its jobs: %s", error)
                time.sleep(_PAUSE)
        self._state.backend.wake()

    def _reported(self) -> Iterator[tuple[Execution, Outcome]]:
        for job, told in self._unacknowledged.values():
            yield job, Outcome.from_json(told)

    def _not_begun(self, changes: Changes) -> Iterator[tuple[Execution, Outcome]]:
        """What we were given and have not run: also what the supervisor claimed for us when it died, so that it
        never came to tell us."""
        for row in running_in(changes.connection, own_identity().columns()):
            if row.execution_token not in self._unacknowledged:
                job = execution_of(row, token=row.execution_token, attempt=whole_number(row.attempt))
                yield job, Outcome("released")


def _capture_output(path: str) -> None:
    """Let descriptors 1 and 2 write to the attempt's own file, so that subprocesses are caught, too."""
    try:
        descriptor = open_output(path)
    except OSError as error:  # a full disk must not fail the job
        console.warning("The output of a job is not kept: %s", error)
        descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105 - suppress() is five functions more
            stream.flush()
        except Exception:  # noqa: BLE001, S110 - the job may have closed it, or put anything in its place
            pass
