"""The suite below is run once for each backend and database."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from backend_site import BACKENDS, BackendSite
from sqlalchemy.engine import URL


@pytest.fixture(scope="session", params=BACKENDS, ids="-".join)
def backend(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    empty_database: Path,
    servers: Callable[[str, str], URL],
    brokers: Callable[[str, str], str],
) -> Iterator[BackendSite]:
    backend, database, *broker = request.param
    folder = tmp_path_factory.mktemp(backend)
    url = "sqlite:///app.db" if database == "sqlite" else str(servers(database, backend))
    shutil.copy(empty_database, folder / "app.db")
    carrier = brokers(broker[0], backend) if broker else None
    site = BackendSite(backend, folder, url, carrier, _until)
    yield site
    site.close()


@pytest.fixture
def site(backend: BackendSite) -> BackendSite:
    """The application, its log files read up to here."""
    backend.forget_lines()
    return backend


def _until(condition: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while (value := condition()) is None:
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.005)
    return value
