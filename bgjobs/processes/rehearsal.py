"""A rehearsal in the fork server: a job that does nothing, through the functions that a job process calls.

The interpreter rewrites a function for what it met there after some calls (PEP 659), and remembers where it found
each method. It writes both into memory. What is written here every child inherits; otherwise each child would do
it for itself, and copy a page for each: that is a tenth of the cost of a small job. Nothing of the host is called:
the application, the runner, the class and the database are of our own.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from flask import Flask, appcontext_popped, appcontext_pushed, appcontext_tearing_down
from flask_sqlalchemy import SQLAlchemy

from bgjobs.app_state import AppState
from bgjobs.class_name import public_name
from bgjobs.processes.channel import Channel
from bgjobs.processes.job_process import JobProcess, JobProcessConfig
from bgjobs.runner.outcome import Execution
from bgjobs.settings import Settings
from bgjobs.state_folder import StateFolder

# A function is rewritten after eight calls, and what its instructions met settles after as many more.
_TIMES = 20


class Nothing:
    """The job of the rehearsal."""

    def nothing(self, number: int) -> None:
        """Do nothing."""


def rehearse(config: JobProcessConfig) -> None:
    """Run the job as often as it takes, and leave everything as it was.

    It only makes the jobs quicker: where there is no folder to write to, it is left out.
    """
    with suppress(OSError), TemporaryDirectory() as folder:
        _rehearse_in(StateFolder(folder), config)


def _rehearse_in(folder: StateFolder, config: JobProcessConfig) -> None:
    standard = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]  # a job's output takes their places
    try:
        with ExitStack() as stack:
            for signal in (appcontext_pushed, appcontext_tearing_down, appcontext_popped):
                stack.enter_context(signal.muted())  # the host may listen to every application
            Path(folder.output).mkdir()
            state = _own_state()
            for number in range(_TIMES):
                _run(number, state, replace(config, folder=folder, jobs_per_process=1))
    finally:
        for descriptor, kept in standard:
            os.dup2(kept, descriptor)
            os.close(kept)


def _own_state() -> AppState:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    state = AppState(app, SQLAlchemy(app), Settings.from_config({}), None)
    state.approval.add([Nothing])
    return state


def _run(number: int, state: AppState, config: JobProcessConfig) -> None:
    job = Execution(number, public_name(Nothing), "nothing", {"number": number}, 0, 3, 5.0, None, str(number), 1)
    supervisor, end = Channel.pair()
    channel = Channel(end)
    try:
        supervisor.send({"run": job.to_json()})
        supervisor.send({"ack": job.token})
        channel.send({"ready": os.getpid()})
        JobProcess(channel, state, config).run()
    finally:
        channel.close()
        supervisor.close()
