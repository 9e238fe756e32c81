"""Whose children are the descendants of a job when the job is gone? On Linux, those of its server.

A job may start processes that leave its group and its session, or whose parent ends before the job does.
Otherwise they would be handed to init, where nobody could tell any more that they belonged to a job.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def become_parent_of_orphans() -> None:
    """From now on a descendant of this process becomes its child when its own parent ends. A fork does not
    inherit that."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_children() -> bool:
    """Whether this process has children, ended ones aside."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def children() -> set[int]:
    """The pids of the children of this process, which has one thread; nothing where the kernel does not tell."""
    with contextlib.suppress(FileNotFoundError), open(f"/proc/self/task/{os.getpid()}/children") as file:
        return {int(pid) for pid in file.read().split()}
    return set()
