"""What the supervisor and the fork server take over many jobs, half of which raise: reported, nothing is asserted.

python tests/processes/measure_memory.py [jobs]
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

from clean_end import empty_database_in, real_site
from test_soak import ROUND, footprint_at_rest, run_round

JOBS = 100_000
# What the first jobs touch for the first time is no growth.
WARM_UP = 1_000
LOOKS = 10


def main(jobs: int) -> None:
    logging.getLogger("bgjobs").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = empty_database_in(folder)
        with real_site(folder, empty, {}) as site:
            rounds = max(jobs // ROUND, LOOKS)
            for _ in range(WARM_UP // ROUND):
                run_round(site)
            first = footprint_at_rest(site)
            print(
                f"after {WARM_UP} jobs: {first.memory / 2**20:.1f} MiB, {first.descriptors} descriptors",
                flush=True,
            )
            for number in range(1, rounds + 1):
                run_round(site)
                if number % (rounds // LOOKS) == 0:
                    now = footprint_at_rest(site)
                    print(
                        f"{number * ROUND} jobs later: {(now.memory - first.memory) / 2**20:+.1f} MiB, "
                        f"{now.descriptors - first.descriptors:+} descriptors, {now.zombies} zombies",
                        flush=True,
                    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else JOBS)
