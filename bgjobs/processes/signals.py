"""Signals to the processes of a job: only to a process that is provably the one that was recorded."""

from __future__ import annotations

import contextlib
import os
import signal

import psutil

from bgjobs.processes.identity import ProcessIdentity, start_time

# What stands in the command line of a job process: renamed by setproctitle; or, without that, forked or spawned.
_OURS = ("bgjobs: job", "bgjobs.processes.fork_server", "bgjobs.processes.job_entry")


def terminate(identity: ProcessIdentity) -> bool:
    """SIGTERM to the process group of a job. False when there is nobody to signal."""
    return _signal_group(identity, signal.SIGTERM)


def hold(identity: ProcessIdentity) -> bool:
    """SIGSTOP to the process group of a job. False when there is nobody to signal."""
    return _signal_group(identity, signal.SIGSTOP)


def go_on(identity: ProcessIdentity) -> bool:
    """SIGCONT to the process group of a job. False when there is nobody to signal."""
    return _signal_group(identity, signal.SIGCONT)


def kill(identity: ProcessIdentity) -> bool:
    """SIGKILL to the process group of a job, and to descendants that left the group."""
    descendants = _descendants(identity)
    killed = _signal_group(identity, signal.SIGKILL)
    for process in descendants:
        with contextlib.suppress(psutil.Error):
            process.kill()  # psutil compares the start time first
    return killed


def kill_what_is_left(identity: ProcessIdentity) -> None:
    """SIGKILL to what a job process that is gone has left in its process group.

    A pid is not given again as long as a group has its number, so while nobody has the pid the group is the job's.
    """
    if start_time(identity.pid) not in (None, identity.started):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(identity.pid, signal.SIGKILL)


def is_job_process(identity: ProcessIdentity) -> bool:
    """Whether a recorded process may be signalled: it lives, leads a session of its own, belongs to our user
    and is a job process by its command line. The row may have been edited, so its word is not enough."""
    if identity.judge() != "alive" or identity.pid in (os.getpid(), os.getppid()):
        return False
    try:
        process = psutil.Process(identity.pid)
        return (
            os.getsid(identity.pid) == identity.pid == os.getpgid(identity.pid)
            and process.uids().effective == os.geteuid()
            and any(part in " ".join(process.cmdline()) for part in _OURS)
        )
    except (psutil.Error, ProcessLookupError, PermissionError):
        return False


def _signal_group(identity: ProcessIdentity, number: int) -> bool:
    if start_time(identity.pid) != identity.started:
        return False
    try:
        os.killpg(identity.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _descendants(identity: ProcessIdentity) -> list[psutil.Process]:
    try:
        return list(psutil.Process(identity.pid).children(recursive=True))
    except psutil.Error:
        return []
