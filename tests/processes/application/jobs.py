"""Jobs that behave."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bgjobs import current_job, role, run_background_job
from bgjobs.fail_points import reach

from . import background, db
from .witness import note, wait_for_gate, witness


@background.approve
class Plain:
    """One job a method."""

    retry_delay = 0.05

    def nothing(self) -> None:
        with witness():
            pass

    def multiply(self, generations: int) -> None:
        """Two of itself, as long as generations are left."""
        with witness():
            for _ in range(2 if generations else 0):
                run_background_job(Plain, "multiply", {"generations": generations - 1}, max_retries=0)

    def hold(self, gate: str) -> str:
        """Wait for the test."""
        with witness():
            wait_for_gate(gate)
            return gate

    def hold_with(self, gate: str, password: str, note: str) -> None:
        with witness():
            wait_for_gate(gate)

    def say(self, words: str) -> None:
        """Print, in the three ways there are."""
        with witness():
            print(words, "printed")
            os.write(2, f"{words} written\n".encode())
            subprocess.run([sys.executable, "-S", "-c", f"print({words!r}, 'by a subprocess')"], check=True)

    def answer(self) -> str:
        """Which code is this?"""
        return "old"

    def last(self, seconds: float) -> None:
        with witness():
            time.sleep(seconds)

    def speak(self, gates: list[str]) -> None:
        """Say what it waits for, in bytes that are no text."""
        with witness():
            for gate in gates:
                os.write(1, f"waiting for {gate} ☕ ".encode() + b"\x00\xff\n")
                wait_for_gate(gate)
            print("all of it is here when the job has ended")

    def print_until(self, gate: str) -> None:
        with witness():
            for _ in range(1024):
                os.write(1, b"x" * 1023 + b"\n")
            note("printed")
            wait_for_gate(gate)

    def print_much(self, megabytes: int) -> None:
        with witness():
            line = b"x" * 1023 + b"\n"
            for _ in range(megabytes * 4):
                os.write(1, line * 256)
            print("the last line")

    def print_in_python(self, kibibytes: int) -> None:
        with witness():
            for _ in range(kibibytes):
                print("x" * 1023)

    def flaky(self, failures: int) -> int:
        with witness():
            if current_job.retry_count < failures:
                raise ConnectionError(f"retry {current_job.retry_count}")
            return current_job.retry_count

    def tell(self) -> dict[str, Any]:
        """Everything that a job can say of itself."""
        with witness():
            for step in range(1, 4):
                current_job.progress(step, 3, f"step {step}")
            current_job.log("half way")
            current_job.result = {"will be": "replaced"}
            return {"id": current_job.id, "retry": current_job.retry_count, "role": role()}

    def tell_later(self, gate: str) -> str:
        with witness():
            wait_for_gate(gate)
            current_job.progress(1, 2)
            current_job.log("I am alone")
            return "told"

    def reach_the_middle(self) -> None:
        with witness():
            reach("run.mid")

    def result_only(self) -> None:
        with witness():
            current_job.result = [1, "two"]

    def watch_cancelled(self) -> None:
        """Look whether to stop, tidy up, and return as if nothing were."""
        with witness():
            assert not current_job.cancelled
            note("looking")
            while not current_job.cancelled:
                pause()
            note("tidied")

    def look_around(self) -> dict[str, Any]:
        """What this process has that a job should not have, or should."""
        with witness():
            # The directory that is being listed is one more, gone when the list is there.
            descriptors = [int(name) for name in os.listdir("/proc/self/fd")]
            links = {}
            for descriptor in descriptors:
                try:
                    links[str(descriptor)] = os.readlink(f"/proc/self/fd/{descriptor}")
                except FileNotFoundError:
                    continue
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
            return {
                "descriptors": links,
                "environment": dict(os.environ),
                "session": os.getsid(0) == os.getpid() == os.getpgrp(),
                "core": list(resource.getrlimit(resource.RLIMIT_CORE)),
                "blocked": sorted(int(number) for number in blocked),
                "role": role(),
                "oom": Path("/proc/self/oom_score_adj").read_text().strip(),
            }

    def draw(self) -> dict[str, list[Any]]:
        """What nobody else should draw, and the databases that are open already."""
        import random
        import secrets
        import uuid

        with witness():
            opened = [os.readlink(entry) for entry in os.scandir("/proc/self/fd") if entry.is_symlink()]
            return {
                "drawn": [random.random(), str(uuid.uuid4()), secrets.token_hex(), os.urandom(8).hex()],
                "databases": [link for link in opened if ".db" in link],
            }

    def store_order(self, what: str) -> None:
        """Use the application's own database."""
        from . import Order

        with witness():
            db.session.add(Order(what=what))
            db.session.commit()

    def dispatch_another(self) -> int:
        with witness():
            return run_background_job(Plain, "nothing").id


def pause() -> None:
    time.sleep(0.005)


@contextmanager
def deaf() -> Iterator[None]:
    """Hear no request to stop."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
