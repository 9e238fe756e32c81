"""How a process becomes a job process, forked or started ahead, and how it leaves."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import contextlib
import os
import resource
import signal
import sys
import traceback
from typing import NoReturn

from bgjobs.app_state import AppState
from bgjobs.fail_points import ARMED, reach
from bgjobs.output import for_jobs
from bgjobs.processes.app_loader import load_app
from bgjobs.processes.channel import Channel
from bgjobs.processes.job_process import JobProcess, JobProcessConfig, flush_output
from bgjobs.processes.orphans import become_parent_of_orphans, has_children
from bgjobs.processes.title import set_title
from bgjobs.role import become
from bgjobs.runner.current_job import interrupt_current_job

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
# Below the module ``signal``, which makes enumerations of the old mask: a job process pays for each function that
# it calls, because counting a reference to it copies the page that it lies on.
_change_blocked_signals = _signal.pthread_sigmask
_UNBLOCK, _STOP_SIGNAL_NUMBERS = int(signal.SIG_UNBLOCK), tuple(map(int, STOP_SIGNALS))
# The exit status of a process whose job went well and left processes behind, which is its right.
LEFT_CHILDREN = 3
# The kernel picks a job before the supervisor when memory runs out (proc(5): -1000 to 1000).
_OOM_SCORE = "500"


def main(descriptor: int) -> NoReturn:
    """A fresh interpreter for a job (start method ``spawn``): loads the application first."""
    become("job")
    prepare_to_be_forked()
    channel = Channel.from_descriptor(descriptor)
    message = channel.receive()
    if message is None:
        os._exit(0)
    config = JobProcessConfig.from_json(message["configure"])
    try:
        state = load_app(config.location, config.expected)
    except BaseException:  # noqa: BLE001 - whatever the application does while it loads, it is reported
        channel.send({"failed": traceback.format_exc()})
        os._exit(1)
    serve(channel, state, config)


def serve(channel: Channel, state: AppState, config: JobProcessConfig) -> NoReturn:
    """Become a job process, wait for jobs and run them. Never returns, whatever happens."""
    status = 1
    try:
        become("job")
        set_title("bgjobs: job")
        become_parent_of_orphans()  # as long as the job lives, all that it started can be found below it
        _change_blocked_signals(_UNBLOCK, _STOP_SIGNAL_NUMBERS)
        for function in state.after_fork:
            function()
        if ARMED:
            reach("job.before_ready")
        channel.send({"ready": os.getpid()})
        if ARMED:
            reach("job.before_go")
        status = JobProcess(channel, state, config).run()
        if status == 0 and has_children():
            status = LEFT_CHILDREN
    except BaseException:  # noqa: BLE001 - the edge of the process: it must not fall back into the fork server
        channel.send({"failed": traceback.format_exc()})
        traceback.print_exc()
    finally:
        flush_output()
        # No exit handlers: those of the application belong to the process that loaded it.
        os._exit(status)


def prepare_to_be_forked() -> None:
    """Everything that a job process inherits ready-made, because doing it once is cheaper than in each."""
    # Blocked here, so that a signal to the whole service does not take the fork server before its jobs;
    # a job process takes SIGTERM as the request to stop, and the others as anybody does.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    signal.signal(signal.SIGTERM, lambda number, frame: interrupt_current_job())
    # The supervisor ignores SIGHUP, and a shell may have had others ignored: that goes on over every exec.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(_OOM_SCORE)
    sys.stdout, sys.stderr = for_jobs(sys.stdout), for_jobs(sys.stderr)
