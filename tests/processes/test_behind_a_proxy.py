"""PostgreSQL behind a proxy that pools transactions: each transaction is given to another server process."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import SERVERS, administering
from ports import free_port
from real_site import MakeSite
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url

from bgjobs.database import SCHEMA_REVISION, Database

CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
"""


@pytest.fixture(scope="module")
def proxied(
    servers: Callable[[str, str], URL], until: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[URL]:
    """An empty database, by way of a pgbouncer of our own."""
    servers("postgresql", "store")  # skips where there is no server
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        words = "pgbouncer is not installed"
        pytest.fail(words) if os.environ.get("BGJOBS_REQUIRE_SERVERS") else pytest.skip(words)
    server = make_url(SERVERS["postgresql"])
    file = tmp_path_factory.mktemp("proxy") / "pgbouncer.ini"
    port = free_port()
    file.write_text(
        CONFIGURATION.format(host=server.host, port=server.port or 5432, user=server.username, listen=port)
    )
    name = f"bgjobs_test_{os.getpid()}_proxied"
    with administering("postgresql") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    as_nobody = ["-u", "nobody"] if os.getuid() == 0 else []
    with open(file.with_suffix(".log"), "wb") as log:
        proxy = subprocess.Popen([program, *as_nobody, str(file)], stdout=log, stderr=log)
    url = server.set(host="127.0.0.1", port=port, database=name)
    try:
        until(lambda: _answers(url) or proxy.poll() is not None, 20)
        assert proxy.poll() is None, Path(file.with_suffix(".log")).read_text()
        yield url
    finally:
        proxy.terminate()
        proxy.wait(20)
        with administering("postgresql") as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def test_jobs_run_and_the_tables_are_made_once(proxied: URL, make_site: MakeSite) -> None:
    """Three processes of the application come first at once; then jobs go all their way."""
    databases = [Database(proxied) for _ in range(3)]
    threads = [threading.Thread(target=database.migrate) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [database.schema_revision() for database in databases] == [SCHEMA_REVISION] * 3
    for database in databases:
        database.dispose()
    site = make_site(database_uri=proxied.render_as_string(hide_password=False))
    # More than the five times after which psycopg prepares a statement, by several connections at once.
    rows = site.wait(*(site.dispatch("Plain.nothing") for _ in range(40)))
    assert {(row.status, row.attempt) for row in rows} == {("completed", 1)}


def test_nothing_is_prepared_there_and_elsewhere_it_is(proxied: URL) -> None:
    for url, prepares in ((proxied, False), (proxied.set(port=make_url(SERVERS["postgresql"]).port), True)):
        database = Database(url)
        with database.engine.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            assert (driver.prepare_threshold is not None) is prepares
        database.dispose()


def _answers(url: URL) -> bool:
    database = Database(url)
    try:
        database.schema_revision()
    except Exception:
        return False
    finally:
        database.dispose()
    return True
