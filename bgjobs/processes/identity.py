"""Who a process is: boot, pid and start time together. A pid alone means nothing: it is used again.

On Linux the start time is field 22 of ``/proc/<pid>/stat``, in clock ticks since boot, which a change of
the wall clock does not touch; elsewhere psutil's creation time.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import psutil

from bgjobs.clock import steady

_HAS_PROC = sys.platform == "linux"
HOST_NAME = "BGJOBS_HOST_NAME"
Judgement = Literal["alive", "gone", "unknown"]


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process that is or was: on which host, in which boot and pid namespace, since when."""

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    started: str

    def columns(self) -> dict[str, Any]:
        """The identity by the names of the columns that record it."""
        return {
            "host": self.host,
            "boot_id": self.boot_id,
            "pid_namespace": self.pid_namespace,
            "pid": self.pid,
            "process_started": self.started,
        }

    def age(self) -> float | None:
        """For how many seconds the process lives, by a clock that nobody can set; None where that is not known."""
        if not (_HAS_PROC and self.started.isdigit()):
            return None
        return max(0.0, steady() - int(self.started) / os.sysconf("SC_CLK_TCK"))

    def judge(self) -> Judgement:
        """Whether the process lives. Only what can be proved counts: a process of another host or pid
        namespace is ``"unknown"``."""
        if self.host != host_name():
            return "unknown"
        if self.boot_id != boot_id():
            return "gone"
        if self.pid_namespace != pid_namespace():
            return "unknown"
        return "alive" if start_time(self.pid) == self.started else "gone"


def own_identity() -> ProcessIdentity:
    """The identity of the calling process."""
    return identity_of(os.getpid(), start_time(os.getpid()) or "")


def identity_of(pid: int, started: str) -> ProcessIdentity:
    """The identity of a process of this host and pid namespace."""
    return ProcessIdentity(host_name(), boot_id(), pid_namespace(), pid, started)


def start_time(pid: object) -> str | None:
    """When the process with this pid started, as a text to compare; None if there is none, or a zombie.

    ``pid`` may come from a row that somebody edited, so anything but a possible pid is no process.
    """
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 1:
        return None
    if not _HAS_PROC:
        return _start_time_by_psutil(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, in parentheses, may itself contain spaces and parentheses (proc(5)).
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks = fields[0], fields[19]
    return None if state in (b"Z", b"X") else ticks.decode()


def _start_time_by_psutil(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.Error:
        return None


@cache
def host_name() -> str:
    """The name of this host: what ``BGJOBS_HOST_NAME`` in the environment says, or else what the system does.

    A container may have another name each time it is started, and then looks like another host each time.
    """
    name = os.environ.get(HOST_NAME) or socket.gethostname()
    return name.encode("utf-8", "backslashreplace").decode()[:255]


@cache
def boot_id() -> str:
    """What tells this run of the machine from the ones before."""
    if _HAS_PROC:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    return str(int(psutil.boot_time()))


@cache
def pid_namespace() -> str:
    """The namespace in which our pids mean something; empty where there is only one."""
    return os.readlink("/proc/self/ns/pid") if _HAS_PROC else ""
