"""What the application wants to happen in each job process."""

from __future__ import annotations

import threading

from bgjobs import current_job, role

from . import background
from .witness import witness

_seen: list[str] = []
_threads: list[threading.Thread] = []


@background.after_fork
def start_what_a_fork_would_lose() -> None:
    _seen.append(role())
    thread = threading.Thread(target=threading.Event().wait, name="telemetry", daemon=True)
    thread.start()
    _threads.append(thread)


@background.approve
class Hooked:
    """A job that needs what was started after the fork."""

    def look(self) -> dict[str, object]:
        with witness():
            return {
                "roles": _seen,
                "alive": [thread.is_alive() for thread in _threads],
                "in a thread": _id_seen_by_a_thread(),
            }


def _id_seen_by_a_thread() -> int:
    """``current_job`` is there for threads that the job starts, too."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(current_job.id))
    thread.start()
    thread.join()
    return found[0]
