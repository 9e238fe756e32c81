"""The race between a dispatch and a supervisor that leaves for want of work (F19), in a process of its own.

    python tests/processes/idle_race.py rounds

prints as JSON how many seconds each job took to start, and how many supervisors there were. A supervisor that is
forked from the test runner would be as large as that, and as late.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import warm_start
from clean_end import empty_database_in, real_site
from real_site import RealSite
from waiting import monotonic

from bgjobs.processes import launch

# Seconds after a job, at the latest, that the next one comes; the supervisor leaves after half of them.
LATEST = 0.1
SETTINGS = {"idle_timeout": LATEST / 2, "processes": 1}


def race(site: RealSite, rounds: int) -> tuple[list[float], int]:
    """Seconds from the dispatch of each job until it started, and the number of supervisors."""
    randomness = random.Random(19)
    supervisors, took = set(), []
    with patch.object(launch, "start", warm_start.start):
        site.run("Plain.nothing")
        for _ in range(rounds):
            time.sleep(randomness.uniform(0, LATEST))  # the moment is what is drawn here, not waited for
            asked_at = monotonic()
            job = site.dispatch("Plain.nothing")
            took.append(site.until_noted(job).moment - asked_at)
            supervisors |= set(site.supervisors())
            site.wait(job)
    site.check()
    return took, len(supervisors)


def main(rounds: int) -> None:
    logging.getLogger("bgjobs").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = empty_database_in(folder)
        with real_site(folder, empty, SETTINGS) as site:
            took, supervisors = race(site, rounds)
    print(json.dumps({"took": took, "supervisors": supervisors}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
