"""Measures one system once: ``python -m bench.measure SYSTEM PLAN`` prints its figures as JSON.

A program of its own, so that no system shares memory, threads or imported modules with another.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.driver import Driver, NotMeasured
from bench.forks import measured_apart
from bench.memory import left_behind, pss
from bench.systems import driver_of

THREADS = 8
Figures = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How many jobs; a slow system gets those that it does in so many seconds."""

    burst: int = 1000
    burst_seconds: float = 5.0
    long: int = 0  # the burst of 20,000, once in a run
    long_seconds: float = 25.0
    singles: int = 60
    alone: int = 300
    forks: int = 300
    calm: float = 2.5  # seconds until a system that has nothing to do has come to rest

    def count(self, most: int, seconds: float, driver: Driver) -> int:
        return max(10, min(most, int(seconds * driver.per_second)))


class Measurement:
    """One system at work: numbers its jobs, and reads from the marks which of them ran when."""

    def __init__(self, driver: Driver, folder: Path) -> None:
        self.driver = driver
        self.folder = str(folder)
        self._marks = folder / "marks"
        self._numbers = iter(range(1, 1 << 40))
        self._lock = threading.Lock()
        self.dispatched = 0

    def number(self) -> int:
        with self._lock:
            self.dispatched += 1
            return next(self._numbers)

    def ran(self) -> list[tuple[int, int, float]]:
        """Number, pid and moment of each run."""
        return list(struct.iter_unpack("<qqd", self._marks.read_bytes())) if self._marks.exists() else []

    def wait(self, patience: float = 30.0) -> None:
        """Until every job ran, or none did for so long; then what was lost is lost."""
        seen, since = -1, time.monotonic()
        while time.monotonic() < since + patience:
            done = self._marks.stat().st_size // 24 if self._marks.exists() else 0
            if done >= self.dispatched and self.driver.settled():
                return
            if done != seen:
                seen, since = done, time.monotonic()
            time.sleep(0.002)

    def timed(self, job: str = "nothing") -> float:
        """Milliseconds of one dispatch."""
        number = self.number()
        before = time.perf_counter()
        self.driver.dispatch(job, number)
        return (time.perf_counter() - before) * 1000

    def burst(self, count: int, *, job: str = "nothing", one_by_one: bool = False) -> Figures:
        """Jobs a second from the first dispatch to the last end, and what the dispatches took."""
        begin = time.perf_counter()
        if one_by_one:
            times = [self.timed(job) for _ in range(count)]
        else:
            self.driver.dispatch_many(job, [self.number() for _ in range(count)])
            times = [(time.perf_counter() - begin) * 1000 / count]
        dispatched = time.perf_counter()
        self.wait()
        return {
            "jobs": count,
            "per_second": count / (time.perf_counter() - begin),
            "dispatched_per_second": count / (dispatched - begin),
            **percentiles(times, 50, 99),
        }

    def from_threads(self, count: int) -> Figures:
        """Dispatches from 8 threads at once while the workers work."""
        times: list[float] = []
        errors: list[str] = []

        def dispatch_some() -> None:
            with self.driver.in_thread():
                for _ in range(max(1, count // THREADS)):
                    try:
                        times.append(self.timed())
                    except Exception as error:
                        errors.append(f"{type(error).__name__}: {error}"[:200])
                        with self._lock:
                            self.dispatched -= 1

        threads = [threading.Thread(target=dispatch_some) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.wait()
        return {
            "jobs": len(times),
            "errors": len(errors),
            "error": (errors or [None])[0],
            **percentiles(times, 50, 99),
        }

    def start_latency(self, count: int) -> Figures:
        """Milliseconds from the call to the first line of the job, with everything idle before."""
        times = []
        for _ in range(count):
            time.sleep(0.03)
            before = time.monotonic()
            self.timed()
            self.wait()
            times.append((self.ran()[-1][2] - before) * 1000)
        return {"jobs": count, **percentiles(times, 50, 95)}

    def verdict(self) -> Figures:
        runs = Counter(number for number, _, _ in self.ran())
        return {
            "jobs": self.dispatched,
            "lost": self.dispatched - len(runs),
            "twice": sum(times > 1 for times in runs.values()),
            "processes": len({pid for _, pid, _ in self.ran()}),
        }


def measure(driver: Driver, folder: Path, plan: Plan) -> Figures:
    """All figures of one system."""
    it = Measurement(driver, folder)
    figures: Figures = {"name": driver.name, "note": driver.note}
    driver.setup()
    try:
        # Nobody works yet, so this is what a dispatch costs by itself.
        figures["alone"] = percentiles(
            [it.timed() for _ in range(plan.count(plan.alone, plan.burst_seconds, driver))], 50, 99
        )
        driver.start()
        it.wait(60)
        time.sleep(plan.calm)
        figures["idle_mib"] = pss(it.folder)
        burst = plan.count(plan.burst, plan.burst_seconds, driver)
        figures["start"] = it.start_latency(plan.count(plan.singles, plan.burst_seconds, driver))
        # The limit is measured before and after: on a machine that does other things it may halve in a minute.
        forks = [measured_apart(plan.forks)]
        figures["burst"] = it.burst(burst)
        figures["one_by_one"] = it.burst(burst, one_by_one=True)
        forks.append(measured_apart(plan.forks))
        figures["forks"] = sum(forks) / 2
        # Without a bulk call the two are the same, and each system is taken at its best.
        figures["best"] = max(figures[how]["per_second"] for how in ("burst", "one_by_one"))
        figures["work"] = it.burst(max(10, burst // 2), job="work")
        figures["threads"] = it.from_threads(max(THREADS, burst // 2))
        if plan.long:
            figures["long"] = it.burst(plan.count(plan.long, plan.long_seconds, driver))
            time.sleep(plan.calm)
            figures["long"]["mib"] = pss(it.folder)
        figures.update(it.verdict())
    finally:
        driver.teardown()
    figures["left"] = left_behind(it.folder, 5)
    return figures


def percentiles(values: Sequence[float], *percents: int) -> Figures:
    ordered = sorted(values)
    if not ordered:
        return {f"p{percent}": None for percent in percents}
    return {f"p{percent}": ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] for percent in percents}


def in_folder(run: Callable[[Path], Figures]) -> Figures:
    """Run in a folder of its own, by which its processes are known, too."""
    folder = Path(tempfile.mkdtemp(prefix="bgjobs-bench-"))
    os.environ["BENCH_FOLDER"] = str(folder)
    try:
        return run(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(system: str, plan: str) -> int:
    def run(folder: Path) -> Figures:
        return measure(driver_of(system, folder), folder, Plan(**json.loads(plan)))

    try:
        figures = in_folder(run)
    except NotMeasured as reason:
        figures = {"not_measured": str(reason)}
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
