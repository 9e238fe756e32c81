"""``make bench``: bgjobs, its peers and the limits of this machine, side by side.

In each round the limits are measured and then every system once, so what slows the machine down slows all of
them; the tables give medians over the rounds, and ratios within a round. Takes about a quarter of an hour,
with ``--quick`` two minutes (fewer jobs, one round). ``--only bgjobs,huey`` measures these alone.

Writes the tables into ``docs/performance.md`` and ``docs/scale.md``, the plots beside them and all figures into
``bench/results.json``; with ``--quick`` or ``--only`` all of it into a temporary folder.
Packages are installed into ``.venv-bench``. Redis and PostgreSQL are used where they answer on this host
(``BENCH_REDIS``, ``BENCH_POSTGRES`` name others); what is stored there is removed again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import scale
from bench.plot import throughput_plot
from bench.report import insert_into, markdown
from bench.systems import PACKAGES, SYSTEMS

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-bench"
PYTHON = VENV / "bin" / "python"
FIGURES = ROOT / "bench" / "results.json"
MANUAL = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "throughput.svg"

FULL: dict[str, Any] = {
    "rounds": 3,
    "limits": {"forks": 2000, "seconds": 2.0, "interpreters": 8},
    "measure": {},
    "long": 20_000,
    "growth": {},
    "costs": {},
}
QUICK: dict[str, Any] = {
    "rounds": 1,
    "limits": {"forks": 500, "seconds": 0.5, "interpreters": 2},
    "measure": {"burst": 200, "burst_seconds": 2, "singles": 20, "alone": 100},
    "long": 0,
    "growth": {"finished": 100_000, "pending": 10_000, "burst": 200, "rounds": 1, "jobs": 1000, "firsts": 1},
    "costs": {"jobs": 500, "rounds": 1, "at_once": [4, 50], "seconds": 5},
}
# A system that hangs must not hold up the others.
PATIENCE = 600


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="two minutes instead of a quarter of an hour")
    arguments.add_argument("--only", metavar="SYSTEMS", help=f"some of {','.join(SYSTEMS)}")
    chosen = arguments.parse_args()
    systems = [name for name in SYSTEMS if not chosen.only or name in chosen.only.split(",")]
    install()
    results = run(QUICK if chosen.quick else FULL, systems)
    if chosen.quick or chosen.only:
        folder = Path(tempfile.mkdtemp(prefix="bgjobs-results-"))
        write(results, folder / "results.json", folder / "throughput.svg")
    else:
        write(results, FIGURES, PLOT)
        insert_into(MANUAL, markdown(results))
        scale.write(results)
    print(markdown(results))
    return 0


def run(plan: dict[str, Any], systems: list[str]) -> dict[str, Any]:
    """Everything, one after another."""
    begin = time.monotonic()
    rounds = []
    for number in range(plan["rounds"]):
        say(f"round {number + 1} of {plan['rounds']}: the limits")
        found: dict[str, Any] = {"limits": figures_of("bench.limits", json.dumps(plan["limits"])), "systems": {}}
        for system in systems:
            say(f"round {number + 1} of {plan['rounds']}: {system}")
            # The long burst takes as long as all the rest, so it is made once.
            measured = {**plan["measure"], "long": plan["long"] if number == 0 else 0}
            found["systems"][system] = figures_of("bench.measure", system, json.dumps(measured))
        rounds.append(found)
    say("the cost of growth")
    return {
        "machine": {
            "cpus": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
        },
        "rounds": rounds,
        "growth": figures_of("bench.growth", json.dumps(plan["growth"])),
        "costs": figures_of("bench.costs", json.dumps(plan["costs"])),
        "minutes": (time.monotonic() - begin) / 60,
    }


def figures_of(*arguments: str) -> dict[str, Any]:
    """What a program of ours printed; where it failed, why."""
    try:
        done = subprocess.run(
            [str(PYTHON), "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return {"not_measured": f"took longer than {PATIENCE} s"}
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        return {"not_measured": (done.stderr.strip().splitlines() or ["it failed"])[-1][:150]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def install() -> None:
    """Make the environment of the benchmarks, once. A peer that cannot be installed is not measured."""
    stamp = VENV / ".installed"
    if stamp.exists() and stamp.stat().st_mtime >= (ROOT / "pyproject.toml").stat().st_mtime:
        return
    say("installing bgjobs and its peers into .venv-bench")
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-e", f"{ROOT}[standard,postgresql]"], check=True)
    for package in PACKAGES:
        subprocess.run([*pip, package], check=False)
    stamp.touch()


def write(results: dict[str, Any], figures: Path, plot: Path) -> None:
    figures.write_text(json.dumps(results, indent=1) + "\n")
    plot.write_text(throughput_plot(results))
    say(f"written to {figures} and {plot}")


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
