"""Notices the death of processes that are not our children: at once by pidfd, else by looking."""

from __future__ import annotations

import contextlib
import os
import selectors
from collections.abc import Callable

from bgjobs.processes.identity import ProcessIdentity


class DeathWatch:
    """Calls back, once, when a watched process is gone."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._looked_at: dict[ProcessIdentity, Callable[[], None]] = {}

    @property
    def must_look(self) -> bool:
        """Whether :meth:`look` has to be called from time to time (there is no pidfd for some process)."""
        return bool(self._looked_at)

    def until_gone(self, identity: ProcessIdentity, call_back: Callable[[], None]) -> None:
        """Call back when the process is gone, or from the next :meth:`look` if it is gone already."""
        descriptor = _pidfd(identity)
        if descriptor is None:
            self._looked_at[identity] = call_back
            return

        def gone() -> None:
            self._selector.unregister(descriptor)
            os.close(descriptor)
            call_back()

        self._selector.register(descriptor, selectors.EVENT_READ, gone)

    def look(self) -> None:
        """Look at the processes for which nothing tells us."""
        for identity, call_back in list(self._looked_at.items()):
            if identity.judge() == "gone":
                del self._looked_at[identity]
                call_back()


def _pidfd(identity: ProcessIdentity) -> int | None:
    """A descriptor that becomes readable when the process ends; None where there is no such thing."""
    if not hasattr(os, "pidfd_open"):
        return None
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(identity.pid)
        # Between the look at the pid and its opening the process may have gone and the pid come back.
        if identity.judge() == "alive":
            return descriptor
        os.close(descriptor)
    return None
