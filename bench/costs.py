"""What one job costs whom, and what it costs to have many at once: ``python -m bench.costs`` prints it as JSON.

CPU time and memory, not seconds: what else the machine does changes them least. ``docs/scale.md`` counts with
them.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.driver import NotMeasured
from bench.measure import Figures, Measurement, in_folder
from bench.memory import left_behind, processes, pss
from bench.peers.bgjobs import ProcessPerJob
from bench.systems import SYSTEMS, driver_of


@dataclass(frozen=True)
class Plan:
    jobs: int = 2000
    rounds: int = 3
    at_once: tuple[int, ...] = (4, 50, 200)
    seconds: float = 10.0  # for which the supervisor is watched while that many jobs sleep


def costs(plan: Plan) -> Figures:
    return {
        "cpu": {
            system: found for system in SYSTEMS if system.startswith("bgjobs") and (found := _cpu(system, plan))
        },
        "at_once": [_apart(_sleeping(count, plan.seconds)) for count in plan.at_once],
    }


def _cpu(system: str, plan: Plan) -> Figures | None:
    """Milliseconds of CPU time for a job that does nothing."""
    try:
        rounds = [_apart(lambda folder: _cpu_in(folder, system, plan.jobs)) for _ in range(plan.rounds)]
    except NotMeasured:
        return None
    return {who: statistics.median(found[who] for found in rounds) for who in rounds[0]}


def _apart(run: Callable[[Path], Figures]) -> Figures:
    """In a folder of its own, and with nothing in the environment that the next one would find there."""
    before = dict(os.environ)
    try:
        return in_folder(run)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _cpu_in(folder: Path, system: str, jobs: int) -> Figures:
    driver = driver_of(system, folder)
    driver.setup()
    try:
        driver.start()
        it = Measurement(driver, folder)
        it.burst(200)
        before, caller = _spent(it.folder, driver), time.process_time()
        it.driver.dispatch_many("nothing", [it.number() for _ in range(jobs)])
        caller = time.process_time() - caller
        it.wait()
        after = _spent(it.folder, driver)
    finally:
        driver.teardown()
    spent = {"caller": caller, **{who: after[who] - before[who] for who in after}}
    return {who: seconds * 1000 / jobs for who, seconds in spent.items()}


def _spent(folder: str, driver: ProcessPerJob) -> dict[str, float]:
    """CPU seconds until now: of the supervisor, of everybody else there with their children that ended, and of the
    processes that a PostgreSQL server has for this database."""
    from bgjobs.supervisor.status import supervisor_status

    status = supervisor_status(driver.state.folder)
    assert status is not None
    found = {"supervisor": 0.0, "processes": 0.0}
    for pid in processes(folder):
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            if pid == status.pid:
                found["supervisor"] += times.user + times.system
            else:
                found["processes"] += sum(times[:4])
    if driver.state.store.database.url.get_backend_name() == "postgresql":
        found["server"] = sum(_of_backend(driver.state.store.database.url.database))
    return found


def _of_backend(database: str) -> Iterator[float]:
    """They are named after the database. One that ended meanwhile is missing; ours stay connected."""
    for process in psutil.process_iter(["name", "cmdline", "cpu_times"]):
        if process.info["name"] == "postgres" and database in " ".join(process.info["cmdline"]).split():
            yield process.info["cpu_times"].user + process.info["cpu_times"].system


def _sleeping(count: int, seconds: float) -> Callable[[Path], Figures]:
    """So many jobs that only wait: their memory, and the CPU time that it takes to watch them."""

    def run(folder: Path) -> Figures:
        driver = ProcessPerJob(folder)
        os.environ.update(FLASK_BGJOBS_PROCESSES=str(count), FLASK_BGJOBS_KILL_GRACE="2")
        driver.setup()
        try:
            driver.start()
            it = Measurement(driver, folder)
            driver.dispatch_many("rest", range(count))
            deadline = time.monotonic() + 60
            while _running(driver) < count and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(3)  # a job is looked at from its second second on
            before, begin = _spent(it.folder, driver), time.monotonic()
            time.sleep(seconds)
            after, took = _spent(it.folder, driver), time.monotonic() - begin
            figures = {
                "jobs": _running(driver),
                "mib": pss(it.folder),
                "supervisor": (after["supervisor"] - before["supervisor"]) / took,
            }
            begin = time.monotonic()
        finally:
            with contextlib.suppress(TimeoutError):  # so many are not gone within the patience of a command
                driver.teardown()
        return {**figures, "left": left_behind(it.folder, 60), "stopped": time.monotonic() - begin}

    return run


def _running(driver: ProcessPerJob) -> int:
    from bgjobs import lookups

    with driver.state.store.database.reading() as connection:
        return len(list(lookups.running(connection)))


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1])) if len(sys.argv) > 1 else Plan()
    print(json.dumps(costs(plan)))


if __name__ == "__main__":
    main()
