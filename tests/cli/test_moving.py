"""``flask bgjobs move``: from each database to each other, with everything, again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_site import WORK
from command_lines import CommandLine
from databases import DATABASES, empty
from sqlalchemy import Column, Double, Integer, insert, select, text
from sqlalchemy.engine import URL

from bgjobs import lookups, metrics, output_store, run_background_job, samples
from bgjobs.database import Database
from bgjobs.lookups import attempts, jobs, logs
from bgjobs.models import JsonText, UtcDateTime

THEN = datetime(2026, 11, 24, 12, 30, 15, 123456, tzinfo=UTC)
NUMBERED = (jobs, logs, attempts, samples.samples, output_store.outputs)

Rows = Mapping[str, list[dict[str, Any]]]


@pytest.fixture(params=[(one, other) for one in DATABASES for other in DATABASES if one != other], ids="-".join)
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, servers: Callable[[str, str], URL]
) -> Iterator[tuple[Database, Database]]:
    """Two databases, of two kinds."""
    one, other = request.param
    old, new = made(one, "old", tmp_path, servers), made(other, "new", tmp_path, servers)
    yield old, new
    old.dispose()
    new.dispose()


def made(kind: str, purpose: str, folder: Path, servers: Callable[[str, str], URL]) -> Database:
    database = Database(f"sqlite:///{folder / purpose}.db" if kind == "sqlite" else servers(kind, purpose))
    database.migrate()
    empty(database)
    return database


@contextmanager
def app_on(database: Database, folder: Path, **settings: Any) -> Iterator[CommandLine]:
    uri = database.url.render_as_string(hide_password=False)
    command_line = CommandLine(folder, database_uri=uri, **{"backend": "inline", **settings})
    yield command_line
    command_line.close()


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def rows_of(database: Database, *tables: Any) -> Rows:
    with database.reading() as connection:
        return {
            table.name: [
                dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
            ]
            for table in tables
        }


def fill(database: Database) -> None:
    """One row with a value in each column, and one with as few as there can be."""
    with database.writing() as connection:
        for number, is_full in ((7, True), (9, False)):
            for table in NUMBERED:
                row = {
                    column.name: value_for(column) for column in table.columns if is_full or not column.nullable
                }
                row |= {"id": number * 3, "background_job_id": number}
                if table is jobs:
                    row |= {"id": number, "status": "failed", "updated_at": THEN}
                connection.execute(insert(table), {key: row[key] for key in row if key in table.columns})
        connection.execute(insert(lookups.paused_queues).values(queue="mail ☕", paused_at=THEN, paused_by="ada"))
        row = {"span": 60, "minute": 5, "class_name": "A", "method_name": "b", "kind": "failed", "bucket": 3}
        connection.execute(insert(metrics.metrics).values(**row, number=2, seconds=1.5))


def value_for(column: Column[Any]) -> Any:
    name = column.name
    if isinstance(column.type, JsonText):
        return {"name": ["Ünïcode ☕ 🎉", "\n\t\"'\\", 1.5, None, True, 2**53], "": {}}
    if isinstance(column.type, UtcDateTime):
        return THEN + timedelta(seconds=len(name))
    if isinstance(column.type, Integer):
        return 2**40 + 1 if name in ("peak_rss", "rss", "position") else 2**31 - 1
    return 0.1 + 0.2 if isinstance(column.type, Double) else f"{name} ☕ 🎉"[:16]


@pytest.mark.parametrize("option", ["--to", "--from"])
def test_every_column_of_everything(pair: tuple[Database, Database], tmp_path: Path, option: str) -> None:
    old, new = pair
    fill(old)
    with app_on(old if option == "--to" else new, tmp_path) as run:
        result = run("bgjobs", "move", option, url_of(new if option == "--to" else old))
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == "Copied 2 jobs that have ended, of 2.\n"
    everything = [*NUMBERED, lookups.paused_queues, metrics.metrics]
    before = rows_of(old, *everything)
    assert all(before.values())
    assert rows_of(new, *everything) == before


def test_again_and_again(pair: tuple[Database, Database], tmp_path: Path) -> None:
    old, new = pair
    with app_on(old, tmp_path) as run:
        dispatch(run, 3, "fail", max_retries=0)
        assert "Copied 3 jobs that have ended, of 3." in run("bgjobs", "move", "--to", url_of(new)).stdout
        assert "Copied 0 jobs that have ended, of 3." in run("bgjobs", "move", "--to", url_of(new)).stdout
        dispatch(run, 2, "show")
        run("bgjobs", "retry", "2")  # fails again, inline
        assert "Copied 3 jobs that have ended, of 5." in run("bgjobs", "move", "--to", url_of(new)).stdout
    assert rows_of(new, *NUMBERED) == rows_of(old, *NUMBERED)
    total = select(text("sum(number) FROM bgjobs_metrics WHERE kind = 'failed'"))
    with new.reading() as connection:
        counted = connection.scalar(total) or 0
    assert counted <= 4, "nothing is counted twice"


def dispatch(run: CommandLine, number: int, method: str = "show", **options: Any) -> list[int]:
    with run.app.app_context():
        return [run_background_job(WORK, method, {}, **options).id for _ in range(number)]
