"""Jobs that start processes of their own. Each says which, by a note ``child-<pid>``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from . import background
from .witness import note, wait_for_gate, witness

_SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


@background.approve
class Family:
    """What becomes of the children when the job is cancelled, too slow or dead?"""

    retry_delay = 0.05

    def have_children(self, gate: str, deaf: bool = False) -> None:
        """One child in the job's group, one in a session of its own, and one whose parent is gone."""
        with witness():
            if deaf:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _introduce(subprocess.Popen(_SLEEP).pid)
            _introduce(subprocess.Popen(_SLEEP, start_new_session=True).pid)
            _orphan()
            note("settled")
            wait_for_gate(gate)


def _orphan() -> None:
    """Fork twice and leave the session: the classic daemon."""
    reader, writer = os.pipe()
    first = os.fork()
    if first == 0:
        os.setsid()
        if (second := os.fork()) == 0:
            time.sleep(600)
        os.write(writer, b"%d" % second)
        os._exit(0)
    os.waitpid(first, 0)
    _introduce(int(os.read(reader, 20)))
    os.close(reader)
    os.close(writer)


def _introduce(pid: int) -> None:
    note(f"child-{pid}")
