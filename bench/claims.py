"""What a claim costs on PostgreSQL, out of few jobs and out of a million: ``python -m bench.claims``.

Two databases side by side, asked in turns, so that whatever slows the machine down slows both.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.claiming import claim_and_forget
from bench.driver import NotMeasured
from bench.measure import Figures, in_folder, percentiles

FEW = 1_000


@dataclass(frozen=True)
class Plan:
    pending: int = 1_000_000
    claims: int = 300


def claims(plan: Plan) -> Figures:
    """Milliseconds of a claim of four jobs with few and with many pending, and the ratio of the medians."""

    def run(folder: Path) -> Figures:
        from bench.postgres_db import OwnDatabase
        from bgjobs.custom_logger import CustomLogger
        from bgjobs.database import Database
        from bgjobs.redaction import Redactor
        from bgjobs.store import Store

        with ExitStack() as opened:
            stores = {}
            for name, pending in (("few", FEW), ("many", plan.pending)):
                own = OwnDatabase(name)
                opened.callback(own.drop)
                database = Database(own.url.replace("://", "+psycopg://", 1))
                opened.callback(database.dispose)
                database.migrate()
                stores[name] = Store(database, CustomLogger(str(folder)), Redactor())
                # As it comes: claims begin before the server has counted what is there.
                claim_and_forget(stores[name])
                _fill(database, pending)
            took: dict[str, list[float]] = {name: [] for name in stores}
            for _ in range(plan.claims):
                for name, store in stores.items():
                    took[name].append(claim_and_forget(store))
        found: Figures = {name: percentiles(times, 50, 99) for name, times in took.items()}
        return {
            "jobs": plan.pending,
            "ratio": statistics.median(took["many"]) / statistics.median(took["few"]),
            **found,
        }

    try:
        return in_folder(run)
    except (ImportError, NotMeasured) as reason:
        return {"not_measured": str(reason)}


def _fill(database: object, pending: int) -> None:
    moment = "2024-12-04 14:31:53"
    with database.writing() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql(
            "INSERT INTO background_jobs (class_name, method_name, parameters, status, queue, priority, "
            "retry_count, max_retries, retry_delay, scheduled_at, created_at, updated_at, attempt) "
            "SELECT 'bench.application.Bench', 'nothing', '{\"number\":0}', 'pending', 'default', 0, 0, 3, '5.0', "
            f"'{moment}', '{moment}', '{moment}', 0 FROM generate_series(1, {pending})"
        )


if __name__ == "__main__":
    os.environ.setdefault("BENCH_FOLDER", ".")
    print(json.dumps(claims(Plan(**json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}")))))
