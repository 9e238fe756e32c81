"""What is measured, in the order of the tables. A peer is imported only where its packages are installed."""

from __future__ import annotations

import importlib
from pathlib import Path

from bench.driver import Driver, NotMeasured

OURS = ("bgjobs", "bgjobs-reused")
SYSTEMS = {
    "bgjobs": "bgjobs:ProcessPerJob",
    "bgjobs-reused": "bgjobs:ReusedProcesses",
    "rq-1": "rq:OneWorker",
    "rq-2": "rq:TwoWorkers",
    "celery": "celery:Prefork",
    "celery-child": "celery:TaskPerChild",
    "huey": "huey:TwoProcesses",
    "bgjobs-postgresql": "bgjobs:ProcessPerJobOnPostgreSQL",
    "bgjobs-postgresql-reused": "bgjobs:ReusedProcessesOnPostgreSQL",
    "procrastinate": "procrastinate:TwoWorkers",
}
PACKAGES = ("rq", "celery[redis]", "huey", "procrastinate", "psycopg[binary]")


def driver_of(system: str, folder: Path) -> Driver:
    """The driver. Raises :class:`NotMeasured` where its packages are missing."""
    module, _, name = SYSTEMS[system].partition(":")
    try:
        loaded = importlib.import_module(f"bench.peers.{module}")
    except ImportError as error:
        raise NotMeasured(f"package {error.name} is not installed") from error
    driver: Driver = getattr(loaded, name)(folder)
    return driver
