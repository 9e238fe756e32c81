"""A burst of no-op jobs, each in a process of its own, beside the bare fork limit of the same minute.

``python bench/burst.py [JOBS] [ROUNDS]``: rounds of the two alternate, because the machine may be busy with
other things; what counts is the ratio. Prints a Markdown table, and exits with 1 if a job was lost or run
twice, if two jobs shared a process, or if more ran at once than allowed.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import select

PROCESSES = 4
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


def main(jobs: int, rounds: int) -> int:
    folder = tempfile.mkdtemp(prefix="bgjobs-bench-")
    os.environ.update(BENCH_FOLDER=folder, FLASK_BGJOBS_PROCESSES=str(PROCESSES), FLASK_BGJOBS_IDLE_TIMEOUT="5")
    from bench_app import create_app

    app = create_app()
    limits, in_bulk, one_by_one, dispatches = [], [], [], []
    with app.app_context(), quiet():
        dispatch("nothing").wait(60)
        for _ in range(rounds):
            limits.append(fork_limit(jobs))
            in_bulk.append(burst(jobs, dispatch_in_bulk)[0])
            rate, times = burst(jobs, dispatch_one_by_one)
            one_by_one.append(rate)
            dispatches += times
        latencies = sorted(start_latency(folder) for _ in range(100))
        faults = faults_found(jobs * rounds * 2 + 1)
    dispatches.sort()
    print("| what | median |")
    print("|---|---|")
    print(f"| bare forks, {PROCESSES} in flight | {statistics.median(limits):.0f}/s |")
    for how, rates in (("run_background_jobs", in_bulk), ("run_background_job, one by one", one_by_one)):
        ratios = [rate / limit for rate, limit in zip(rates, limits, strict=True)]
        print(f"| {jobs} jobs by {how}, {PROCESSES} at once | {statistics.median(rates):.0f}/s |")
        print(f"| ratio of each round | {', '.join(f'{ratio:.2f}' for ratio in ratios)} |")
        print(f"| **ratio** | **{statistics.median(ratios):.2f}** |")
    print(f"| dispatch during the burst, p50 / p99 | {at(dispatches, 50):.2f} / {at(dispatches, 99):.2f} ms |")
    alone = sorted(dispatch_alone(app))
    print(f"| dispatch alone, p50 / p99 | {at(alone, 50):.2f} / {at(alone, 99):.2f} ms |")
    print(f"| start of a single job, p50 / p95 | {at(latencies, 50):.1f} / {at(latencies, 95):.1f} ms |")
    print(f"| left after the idle timeout | {', '.join(left_behind(folder)) or 'nothing'} |")
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


def fork_limit(count: int) -> float:
    command = [sys.executable, str(HERE / "forks.py"), str(count), str(PROCESSES)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def dispatch(method: str, **parameters: object):  # type: ignore[no-untyped-def]
    from bench_app import Bench

    from bgjobs import run_background_job

    return run_background_job(Bench, method, parameters)


def burst(jobs: int, dispatch_all: Callable[[int], list[float]]) -> tuple[float, list[float]]:
    """Jobs a second, from the first dispatch to the last outcome; and each dispatch, in ms."""
    begin = time.perf_counter()
    times = dispatch_all(jobs)
    while unfinished():
        time.sleep(0.01)
    return jobs / (time.perf_counter() - begin), times


def dispatch_in_bulk(jobs: int) -> list[float]:
    from bench_app import Bench

    from bgjobs import run_background_jobs

    before = time.perf_counter()
    run_background_jobs([(Bench, "nothing")] * jobs)
    return [(time.perf_counter() - before) * 1000 / jobs]


def dispatch_one_by_one(jobs: int) -> list[float]:
    times = []
    for _ in range(jobs):
        before = time.perf_counter()
        dispatch("nothing")
        times.append((time.perf_counter() - before) * 1000)
    return times


def dispatch_alone(app) -> list[float]:  # type: ignore[no-untyped-def]
    """Milliseconds of a dispatch while nothing else goes on: the job is due next year."""
    from bench_app import Bench

    from bgjobs import run_background_job

    times = []
    with app.app_context(), quiet():
        for _ in range(300):
            before = time.perf_counter()
            handle = run_background_job(Bench, "nothing", delay=365 * 86400)
            times.append((time.perf_counter() - before) * 1000)
            handle.cancel()
    return times


def start_latency(folder: str) -> float:
    """Milliseconds from the call of ``run_background_job`` to the first line of the method, with an idle
    supervisor."""
    path = os.path.join(folder, "moment")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    time.sleep(0.02)  # the spare process of the job before is ready again
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    dispatch("say_when", path=path).wait(60)
    return (float(Path(path).read_text()) - before) * 1000


def unfinished() -> int:
    from bgjobs import lookups

    with store().database.reading() as connection:
        counts = lookups.counts(connection)
    return counts["pending"] + counts["running"]


def faults_found(expected: int) -> list[str]:
    """Whatever the tables tell against us."""
    from bgjobs.lookups import attempts, jobs

    with store().database.reading() as connection:
        ids = list(
            connection.scalars(
                select(jobs.c.id).where(jobs.c.status == "completed", jobs.c.method_name == "nothing")
            )
        )
        runs = connection.execute(
            select(attempts).where(attempts.c.background_job_id.in_(select(jobs.c.id)))
        ).all()
    found = []
    if len(ids) != expected:
        found.append(f"{expected - len(ids)} of {expected} jobs were not completed")
    if len({run.background_job_id for run in runs}) != len(runs):
        found.append("a job was run more than once")
    if len({(run.pid, run.started_at) for run in runs}) != len(runs):
        found.append("two jobs shared a process")
    edges = sorted([(run.started_at, 1) for run in runs] + [(run.ended_at, -1) for run in runs])
    at_once = most = 0
    for _, step in edges:
        at_once += step
        most = max(most, at_once)
    if most > PROCESSES:
        found.append(f"{most} jobs ran at once")
    return found


def left_behind(folder: str) -> list[str]:
    """What of ours still runs when the idle timeout is over; waits for it up to 15 s."""
    import psutil

    deadline = time.monotonic() + 15
    while True:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("BENCH_FOLDER") == folder and process.pid != os.getpid():
                    found.append(f"{process.pid} {' '.join(process.cmdline())[:60]}")
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def store():  # type: ignore[no-untyped-def]
    from bgjobs.app_state import app_state

    return app_state().store


def at(values: list[float], percent: int) -> float:
    return values[min(len(values) - 1, len(values) * percent // 100)]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the console: how long a terminal takes is not ours to measure. The log files are written."""
    import logging

    logging.getLogger("bgjobs").setLevel(logging.WARNING)
    yield


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(arguments + [1000, 3][len(arguments) :])))
