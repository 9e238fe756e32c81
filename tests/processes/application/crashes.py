"""Jobs that do not come to an end of their own, each in its way."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

from bgjobs import current_job

from . import background
from .jobs import deaf, pause
from .witness import note, witness


class Unheard(BaseException):
    """Nobody catches this."""


@background.approve
class Crash:
    """Each method ends its attempt as its name says; in a later attempt than ``times`` it completes."""

    retry_delay = 0.05

    def by_signal(self, number: int, times: int = 1) -> None:
        with witness():
            if current_job.retry_count < times:
                print("a last word")
                os.kill(os.getpid(), number)
                signal.pause()

    def by_null_pointer(self, times: int = 1) -> None:
        with witness():
            if current_job.retry_count < times:
                ctypes.string_at(0)

    def by_abort(self, times: int = 1) -> None:
        with witness():
            if current_job.retry_count < times:
                os.abort()

    def by_leaving(self, status: int, times: int = 1) -> None:
        with witness():
            if current_job.retry_count < times:
                os._exit(status)

    def by_raising(self, what: str, times: int = 1) -> None:
        with witness():
            if current_job.retry_count < times:
                if what == "SystemExit":
                    sys.exit(0)
                raise {"KeyboardInterrupt": KeyboardInterrupt, "Unheard": Unheard}[what]("on purpose")

    def by_closing_everything(self) -> None:
        with witness():
            os.closerange(0, 4096)

    def by_leaving_its_session(self) -> None:
        """setsid() fails for the leader of a session, so it forks first; the parent waits, as shells do."""
        with witness():
            child = os.fork()
            if child == 0:
                os.setsid()
                os._exit(0)
            os.waitpid(child, 0)

    def by_killing_its_parent(self) -> None:
        with witness():
            os.kill(os.getppid(), signal.SIGKILL)

    def by_too_little_memory(self, times: int = 1) -> None:
        """The limit that the kernel sets a process: what goes beyond it is refused."""
        with witness():
            if current_job.retry_count < times:
                resource.setrlimit(resource.RLIMIT_AS, (_memory() + 64 * 2**20,) * 2)
                bytearray(256 * 2**20)

    def by_memory_of_a_group(self, group: str, times: int = 1) -> None:
        """What goes beyond the limit of its control group is killed."""
        with witness():
            if current_job.retry_count < times:
                Path(group, "cgroup.procs").write_text(str(os.getpid()))
                note("in")
                b"x" * (256 * 2**20)

    def by_hanging(self) -> None:
        with witness():
            while True:
                pause()

    def by_spinning(self) -> None:
        with witness():
            while True:
                pass

    def by_hanging_deaf(self) -> None:
        with witness(), deaf():
            note("deaf")
            while True:
                pause()

    def by_hanging_in_c(self) -> None:
        """A loop that never comes back to the interpreter: no signal handler runs."""
        with witness():
            sum(range(10**12))


def _memory() -> int:
    """The bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
