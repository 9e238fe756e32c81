"""The supervisor leaves when nothing is to be done (F19), and a job that comes in that instant is not stranded."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from real_site import MakeSite, died_within, moment_of
from waiting import monotonic, until

from bgjobs.supervisor import main
from bgjobs.supervisor.config import SupervisorConfig
from bgjobs.supervisor.lock import FileLock

# Seconds, as `make faults` measures it, two thousand times. Here the machine has other things to do; so that is
# asked of most, and of all that they start: a stranded one would wait for ever.
PROMISED, ALL_START_WITHIN = 1.0, 15.0
ROUNDS = int(os.environ.get("BGJOBS_IDLE_ROUNDS", "30"))


def test_nothing_of_ours_runs_after_the_idle_timeout(make_site: MakeSite) -> None:
    site = make_site(idle_timeout=0.3)
    ended_at = moment_of(site.run("Plain.nothing").completed_at)
    until(lambda: not site.processes(), 5, what="everybody left")
    assert monotonic() - ended_at >= 0.25
    assert site.supervisor is None
    # And it comes back.
    assert site.run("Plain.nothing").status == "completed"


def test_it_stays_while_a_job_runs_or_waits_for_its_time(make_site: MakeSite) -> None:
    site = make_site(idle_timeout=0.2)
    job = site.dispatch("Plain.nothing", delay=1.5)
    site.until_supervised()
    pid = site.until_supervised().pid
    held = site.dispatch("Plain.hold", {"gate": "on"})
    site.wait(job)
    assert site.until_supervised().pid == pid
    site.open_gate("on")
    site.wait(held)
    assert died_within([pid], 5)


@pytest.mark.timeout(90 + 2 * ROUNDS)
def test_a_job_in_the_instant_of_the_idle_exit_is_not_stranded() -> None:
    """The supervisor leaves 50 ms after its last job; the next one comes 0 to 100 ms after it."""
    command = [sys.executable, Path(__file__).with_name("idle_race.py"), str(ROUNDS)]
    race = subprocess.run(command, capture_output=True, text=True, check=False)
    assert race.returncode == 0, race.stderr
    told = json.loads(race.stdout)
    assert statistics.median(told["took"]) <= PROMISED
    assert max(told["took"]) <= ALL_START_WITHIN
    # Otherwise the race was not run.
    assert told["supervisors"] > ROUNDS * 0.1


def test_one_that_is_not_needed_leaves_only_when_somebody_answers_after_it(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor answers the newcomer and leaves; a caller in between relied on the newcomer."""
    site = make_site()
    folder = site.state.folder
    leaving, launching = FileLock(folder.lock), FileLock(folder.launch_lock)
    assert leaving.acquire()
    assert launching.acquire()
    rings = []

    def ring(path: str) -> bool:
        """The first ring is answered. Then the other one leaves, and frees its lock a moment later."""
        rings.append(launching.descriptor is None)
        if len(rings) == 3:
            leaving.release()
        return len(rings) == 1

    monkeypatch.setattr(main, "ring", ring)
    lock = main.lock_when_free(SupervisorConfig.of(site.state), launching)
    assert lock is not None
    assert rings[:2] == [False, True]  # the second one after it let go of the launch lock
    assert launching.descriptor is not None  # and took it again, until its own doorbell is open
    lock.release()
    launching.release()
