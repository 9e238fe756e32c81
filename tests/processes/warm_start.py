"""Processes of ours without the half second that an interpreter and its imports take.

For tests that start a supervisor hundreds of times. Everything is real but the exec: where a fresh interpreter
would be started, this process is forked, which has everything imported, and the same ``main()`` is called.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from bgjobs import database
from bgjobs.processes import fork_server, job_entry
from bgjobs.role import become
from bgjobs.supervisor import main as supervisor

# What has to be there before a fork: an import in the child would take long, and a thread of the test runner may
# hold a lock of it at that moment, for ever.
IMPORTED = (fork_server, job_entry, supervisor)


class WarmProcess:
    """As much of :class:`subprocess.Popen` as ours make use of."""

    def __init__(self, pid: int, stdin: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._stdin = stdin

    def communicate(self, data: bytes) -> None:
        with os.fdopen(self._stdin, "wb") as pipe:
            pipe.write(data)
        self.wait()

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def start(
    module: str,
    role: Any,
    *,
    channel: int = -1,
    detach: bool = False,
    output: int | None = None,
    stdin: int = subprocess.DEVNULL,
    keep_open: Sequence[int] = (),
    environment: object = None,
    ahead: object = None,
) -> Any:
    """What :func:`bgjobs.processes.launch.start` does, by a fork."""
    # An SQLite connection that is open here would leave its traces in the memory of the fork, where the file is
    # opened anew (sqlite.org, "How To Corrupt", 2.6).
    for opened in list(database._open_databases):
        opened.dispose()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(module, role, channel, detach, output, reader, {channel, *keep_open})
    os.close(reader)
    if stdin != subprocess.PIPE:
        os.close(writer)
    return WarmProcess(pid, writer)


def _become(
    module: str, role: Any, channel: int, detach: bool, output: int | None, stdin: int, kept: set[int]
) -> NoReturn:
    try:
        os.setsid()
        if detach and os.fork() != 0:
            os._exit(0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(stdin, 0)
        for number in (1, 2):
            os.dup2(nowhere if output is None else output, number)
        _close_all_but({0, 1, 2, *kept})
        sys.stdin, sys.stdout, sys.stderr = (open(n, mode, 1, closefd=False) for n, mode in enumerate("rww"))  # noqa: SIM115
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 0)
        warnings.simplefilter("ignore")  # those of the tests are errors
        logging.getLogger().handlers.clear()  # and what is logged goes nowhere
        gc.freeze()  # the tests' own objects are many, and the fork server looks through all there are
        become(role)
        importlib.import_module(module).main(channel)
    except SystemExit as leaving:
        os._exit(leaving.code if isinstance(leaving.code, int) else 1)
    except BaseException:  # the fork must not go on with the tests
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


def _close_all_but(kept: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:
                continue
