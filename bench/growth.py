"""What bgjobs costs when much has gone before: ``python -m bench.growth PLAN`` prints it as JSON.

A table full of finished jobs, a long queue, a supervisor that has seen many jobs, and no supervisor at all.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import claims
from bench.claiming import claim_and_forget
from bench.driver import Driver
from bench.limits import load_the_application
from bench.measure import Figures, Measurement, in_folder, percentiles
from bench.memory import left_behind, pss
from bench.peers.bgjobs import ProcessPerJob, ReusedProcesses


@dataclass(frozen=True)
class Plan:
    finished: int = 1_000_000
    pending: int = 100_000
    pending_on_postgresql: int = 1_000_000
    burst: int = 1000
    rounds: int = 3
    jobs: int = 30_000  # that one supervisor sees through
    firsts: int = 5


def growth(plan: Plan) -> Figures:
    return {
        "finished": {"jobs": plan.finished, **_with_finished_jobs(plan)},
        "pending": {"jobs": plan.pending, **_with_pending_jobs(plan)},
        "pending_on_postgresql": claims.claims(claims.Plan(plan.pending_on_postgresql)),
        "memory": _memory_over(plan.jobs),
        "first": _first_dispatches(plan.firsts),
    }


def _with_finished_jobs(plan: Plan) -> Figures:
    """Bursts with and without a long past, in turns: the ratio of each pair counts."""
    rates: dict[str, dict[int, list[float]]] = {}
    for kind in (ProcessPerJob, ReusedProcesses):
        by_past: dict[int, list[float]] = {0: [], plan.finished: []}
        for _ in range(plan.rounds):
            for finished, found in by_past.items():
                found.append(in_folder(_burst_after(kind, finished, plan.burst))["per_second"])
        rates[kind.name] = by_past
    return {
        name: {
            "without": statistics.median(by_past[0]),
            "with": statistics.median(by_past[plan.finished]),
            "ratio": statistics.median(w / o for o, w in zip(by_past[0], by_past[plan.finished], strict=True)),
        }
        for name, by_past in rates.items()
    }


def _burst_after(kind: type[Driver], finished: int, jobs: int) -> Callable[[Path], Figures]:
    def run(folder: Path) -> Figures:
        driver = kind(folder)
        driver.setup()
        fill(driver, finished, "completed")
        try:
            driver.start()
            it = Measurement(driver, folder)
            it.burst(50)
            return it.burst(jobs)
        finally:
            driver.teardown()

    return run


def _with_pending_jobs(plan: Plan) -> Figures:
    """Milliseconds of a claim of four jobs, out of few and out of many."""

    def run(folder: Path) -> Figures:
        driver = ProcessPerJob(folder)
        driver.setup()
        found = {}
        for name, pending in (("few", 100), ("many", plan.pending)):
            fill(driver, pending, "pending")
            found[name] = percentiles([claim_and_forget(driver.state.store) for _ in range(200)], 50, 99)
        driver.state.store.database.dispose()
        return found

    return in_folder(run)


def _memory_over(jobs: int) -> Figures:
    """MiB of supervisor, fork server and waiting processes after a first thousand of jobs and after all."""

    def run(folder: Path) -> Figures:
        driver = ProcessPerJob(folder)
        driver.setup()
        try:
            driver.start()
            it = Measurement(driver, folder)
            series = []
            for part in (min(1000, jobs), *[(jobs - 1000) // 3] * 3 * (jobs > 1000)):
                it.burst(part)
                time.sleep(2.5)
                series.append({"jobs": it.dispatched, "mib": pss(it.folder)})
        finally:
            driver.teardown()
        return {"series": series, "left": left_behind(it.folder, 5)}

    return in_folder(run)


def _first_dispatches(count: int) -> Figures:
    """Milliseconds until the first job starts with nothing running, beside those of loading the application."""
    starts, loads = [], []
    for _ in range(count):
        starts.append(in_folder(_first_dispatch)["ms"])
        loads.append(in_folder(_load)["ms"])
    return {
        "start": statistics.median(starts),
        "load": statistics.median(loads),
        "over": statistics.median(start - load for start, load in zip(starts, loads, strict=True)),
    }


def _first_dispatch(folder: Path) -> Figures:
    driver = ProcessPerJob(folder)
    os.environ["FLASK_BGJOBS_AUTOSTART"] = "true"
    driver.setup()
    with driver.state.store.database.reading():
        pass  # the tables are there, as after any dispatch before
    try:
        it = Measurement(driver, folder)
        before = time.monotonic()
        it.timed()
        it.wait()
        return {"ms": (it.ran()[-1][2] - before) * 1000}
    finally:
        driver.teardown()


def _load(folder: Path) -> Figures:
    before = time.monotonic()
    load_the_application().wait()
    return {"ms": (time.monotonic() - before) * 1000}


def fill(driver: ProcessPerJob | Driver, count: int, status: str) -> None:
    """Rows as the jobs of another day left them, each with its attempt and a log."""
    if not count:
        return
    database = driver.state.store.database  # type: ignore[union-attr]
    database.migrate()
    moment = "2024-12-04 14:31:53.000000"
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
    with database.writing() as connection:
        first = connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM background_jobs").scalar()
        connection.exec_driver_sql(
            "INSERT INTO background_jobs (id, class_name, method_name, parameters, status, queue, priority, "
            "retry_count, max_retries, retry_delay, scheduled_at, created_at, updated_at, attempt) "
            f"{numbers} SELECT i + {first}, 'bench.application.Bench', 'nothing', '{{\"number\":0}}', '{status}', "
            f"'default', 0, 0, 3, '5.0', '{moment}', '{moment}', '{moment}', 0 FROM n"
        )
        if status == "completed":
            connection.exec_driver_sql(
                "INSERT INTO job_attempts (background_job_id, number, execution_token, started_at, outcome) "
                f"{numbers} SELECT i + {first}, 1, hex(i), '{moment}', 'completed' FROM n"
            )
            connection.exec_driver_sql(
                "INSERT INTO job_logs (background_job_id, type, message, created_at) "
                f"{numbers} SELECT i + {first}, 'success', 'Background job completed', '{moment}' FROM n"
            )
            # The index for the search is up to date, as it is the next day.
            connection.exec_driver_sql(
                "INSERT OR REPLACE INTO bgjobs_meta (key, value) "
                "SELECT 'job_logs_indexed_up_to', max(id) FROM job_logs"
            )


if __name__ == "__main__":
    print(json.dumps(growth(Plan(**json.loads(sys.argv[1])))))
