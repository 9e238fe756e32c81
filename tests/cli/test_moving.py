"""``flask bgjobs move``: from each database to each other, with everything, again and again."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_site import WORK
from command_lines import CommandLine, Shell
from databases import DATABASES, SERVERS, empty
from sqlalchemy import Column, Double, Integer, insert, select, text
from sqlalchemy.engine import URL

from bgjobs import lookups, metrics, output_store, pausing, run_background_job, samples
from bgjobs.database import Database
from bgjobs.lookups import attempts, jobs, logs
from bgjobs.models import JsonText, UtcDateTime
from bgjobs.moving.history import has_ended
from bgjobs.moving.ticket import ROOM
from bgjobs.moving.transfer import Transfer
from bgjobs.printed import printed_by
from bgjobs.processes.identity import own_identity
from bgjobs.runner.outcome import Outcome
from bgjobs.state_folder import StateFolder

THEN = datetime(2026, 11, 24, 12, 30, 15, 123456, tzinfo=UTC)
NUMBERED = (jobs, logs, attempts, samples.samples, output_store.outputs)

Rows = Mapping[str, list[dict[str, Any]]]


@pytest.fixture(params=[(one, other) for one in DATABASES for other in DATABASES if one != other], ids="-".join)
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, servers: Callable[[str, str], URL]
) -> Iterator[tuple[Database, Database]]:
    """Two databases, of two kinds."""
    with opened(*request.param, tmp_path, servers) as both:
        yield both


to_each = pytest.mark.parametrize(
    "pair",
    [("sqlite", "postgresql"), ("sqlite", "mariadb"), ("postgresql", "sqlite")],
    ids="-".join,
    indirect=True,
)


@contextmanager
def opened(
    one: str, other: str, folder: Path, servers: Callable[[str, str], URL]
) -> Iterator[tuple[Database, Database]]:
    old, new = made(one, "old", folder, servers), made(other, "new", folder, servers)
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
        failed = dispatch(run, 3, "fail", max_retries=0)
        assert "Copied 3 jobs that have ended, of 3." in run("bgjobs", "move", "--to", url_of(new)).stdout
        assert "Copied 0 jobs that have ended, of 3." in run("bgjobs", "move", "--to", url_of(new)).stdout
        dispatch(run, 2, "show")
        run("bgjobs", "retry", str(failed[1]))  # fails again, inline
        assert "Copied 3 jobs that have ended, of 5." in run("bgjobs", "move", "--to", url_of(new)).stdout
    assert rows_of(new, *NUMBERED) == rows_of(old, *NUMBERED)
    total = select(text("sum(number) FROM bgjobs_metrics WHERE kind = 'failed'"))
    with new.reading() as connection:
        counted = connection.scalar(total) or 0
    assert counted <= 4, "nothing is counted twice"


def dispatch(run: CommandLine, number: int, method: str = "show", **options: Any) -> list[int]:
    with run.app.app_context():
        return [run_background_job(WORK, method, {}, **options).id for _ in range(number)]


@to_each
def test_numbers_are_kept_apart(pair: tuple[Database, Database], tmp_path: Path) -> None:
    """Until the last process has the new setting, jobs are dispatched into both databases."""
    old, new = pair
    with app_on(old, tmp_path) as before, app_on(new, tmp_path) as after:
        first = dispatch(before, 3)
        assert before("bgjobs", "move", "--to", url_of(new)).exit_code == 0
        there = dispatch(after, 2)
        late = dispatch(before, 2)
        assert late[0] == first[-1] + 1
        assert there[0] == first[-1] + 1 + ROOM
        assert after("bgjobs", "move", "--from", url_of(old)).exit_code == 0
        assert dispatch(after, 1) == [there[-1] + 1]
        assert ids_in(new) == [*first, *late, *there, there[-1] + 1]
        story = json.loads(after("bgjobs", "show", str(late[0]), "--json").stdout)
        assert len(story["logs"]) == 5
        assert len(story["attempts"]) == 1


@to_each
def test_jobs_that_wait_are_handed_over(pair: tuple[Database, Database], tmp_path: Path) -> None:
    old, new = pair
    with app_on(old, tmp_path, backend="local", autostart=False) as run:
        dispatch(run, 1, "show", queue="mail", priority=-3)
        dispatch(run, 1, "show", delay=3600)
        waiting = rows_of(old, jobs)["background_jobs"]
        left = run("bgjobs", "move", "--to", url_of(new))
        assert left.exit_code == 0
        assert "0 jobs run and 2 wait: they stay in the old database" in left.stdout
        assert ids_in(new) == []
        finished = run("bgjobs", "move", "--to", url_of(new), "--finish")
        assert (finished.exit_code, finished.stderr) == (0, "")
        assert "Handed over 2 jobs that waited." in finished.stdout
        moved = rows_of(new, jobs)["background_jobs"]
        assert [without(row, "updated_at") for row in moved] == [without(row, "updated_at") for row in waiting]
        gone = rows_of(old, jobs)["background_jobs"]
        assert {(row["status"], row["backend"]) for row in gone} == {("cancelled", "moved")}
        assert "handed over to" in run("bgjobs", "logs", str(waiting[0]["id"])).stdout
        again = run("bgjobs", "move", "--to", url_of(new), "--finish")
        assert "Copied 0 jobs" in again.stdout
        assert "Handed over 0 jobs" in again.stdout
        assert rows_of(new, jobs)["background_jobs"] == moved


@to_each
def test_a_job_that_runs_stays_until_it_has_ended(pair: tuple[Database, Database], tmp_path: Path) -> None:
    old, new = pair
    with app_on(old, tmp_path, backend="local", autostart=False) as run:
        alive, dead = dispatch(run, 2)
        me = own_identity().columns()
        store = run.state.store
        with store.changing() as changes:
            # An inline job: its process is this one, and nobody else's business.
            (job,) = changes.claim([me], backend="inline", job_ids=[alive])
            changes.claim([{**me, "process_started": "1"}], backend="local", job_ids=[dead])
        result = run("bgjobs", "move", "--to", url_of(new), "--finish")
        assert result.exit_code == 1
        assert "1 jobs run and 0 wait in the old database. Run this again" in result.stdout
        (row,) = rows_of(new, jobs)["background_jobs"]
        assert (row["id"], row["status"], row["retry_count"]) == (dead, "pending", 1)
        with store.changing() as changes:
            changes.finish([(job, Outcome("completed"))])
        result = run("bgjobs", "move", "--to", url_of(new), "--finish")
        assert (result.exit_code, "Nothing is left" in result.stdout) == (0, True)
        assert [row["status"] for row in rows_of(new, jobs)["background_jobs"]] == ["completed", "pending"]


@to_each
@pytest.mark.parametrize("where", ["before", "after"])
def test_a_crash_between_the_two_databases(
    pair: tuple[Database, Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """It is taken out of the old one, and either not yet in the new one, or that is not noted."""
    old, new = pair
    bring = Transfer.bring

    def crash(self: Transfer, ids: Any, **options: Any) -> Any:
        if options["wanted"] is not has_ended:
            if where == "after":
                bring(self, ids, **options)
            raise KeyboardInterrupt
        return bring(self, ids, **options)

    with app_on(old, tmp_path, backend="local", autostart=False) as run:
        ids = dispatch(run, 3)
        with monkeypatch.context() as patched:
            patched.setattr(Transfer, "bring", crash)
            run("bgjobs", "move", "--to", url_of(new), "--finish", "--batch", "2")
        assert statuses(old, *ids) == ["cancelled", "cancelled", "pending"]
        assert ids_in(new) == (ids[:2] if where == "after" else [])
        if where == "after":  # and somebody ran it there meanwhile
            with app_on(new, tmp_path) as after, after.state.store.changing() as changes:
                (job,) = changes.claim([own_identity().columns()], backend="inline", job_ids=ids[:1])
                changes.finish([(job, Outcome("completed"))])
        result = run("bgjobs", "move", "--to", url_of(new), "--finish")
        assert (result.exit_code, "Nothing is left" in result.stdout) == (0, True)
        assert ids_in(new) == ids
        done = "completed" if where == "after" else "pending"
        assert statuses(new, *ids) == [done, "pending", "pending"]


@to_each
def test_a_job_that_was_run_in_both(pair: tuple[Database, Database], tmp_path: Path) -> None:
    """Retried in the new database and then in the old one: what the new one knows stays."""
    old, new = pair
    with app_on(old, tmp_path) as before, app_on(new, tmp_path) as after:
        (failed,) = dispatch(before, 1, "fail", max_retries=0)
        before("bgjobs", "move", "--to", url_of(new))
        for _ in range(2):
            after("bgjobs", "retry", str(failed))
        before("bgjobs", "retry", str(failed))
        known = rows_of(new, *NUMBERED)
        assert "Copied 0 jobs" in after("bgjobs", "move", "--from", url_of(old)).stdout
        assert rows_of(new, *NUMBERED) == known


def test_a_queue_that_was_resumed_stays_open(servers: Callable[[str, str], URL], tmp_path: Path) -> None:
    with opened("sqlite", "postgresql", tmp_path, servers) as (old, new), app_on(old, tmp_path) as run:
        pausing.pause_queue(run.state.store, "mail", by="ada")
        run("bgjobs", "move", "--to", url_of(new))
        assert [row["queue"] for row in rows_of(new, lookups.paused_queues)["bgjobs_paused_queues"]] == ["mail"]
        with new.writing() as connection:
            connection.execute(lookups.paused_queues.delete())
        pausing.pause_queue(run.state.store, "print", by="ada")
        run("bgjobs", "move", "--to", url_of(new))
        assert [row["queue"] for row in rows_of(new, lookups.paused_queues)["bgjobs_paused_queues"]] == ["print"]


@to_each
def test_outputs_that_lie_in_files(pair: tuple[Database, Database], tmp_path: Path) -> None:
    old, new = pair
    with app_on(old, tmp_path) as run:
        ids = dispatch(run, 3)
        texts = ["one ☕\n", "x" * 99 + "\n", "a\0b\n"]
        for job_id, line in zip(ids, texts, strict=True):
            Path(run.state.folder.output_file(job_id, 1)).write_text(line * (1 if "☕" in line else 5000))
        run("bgjobs", "move", "--to", url_of(new))
        nowhere = StateFolder(str(tmp_path / "nowhere"))
        found = [printed_by(new, nowhere, job_id, [1])[1] for job_id in ids]
        assert found[0].read(0, 100) == ("one ☕\n".encode(), 8)
        data, size = found[1].read(found[1].begins, 10**6)
        assert size == 500_000
        assert 200_000 < len(data) <= output_store.KEPT
        assert set(data.decode().splitlines()[1:]) == {"x" * 99}
        assert found[2].read(0, 5)[0] == b"a\\x00"


@pytest.mark.parametrize("kind", SERVERS)
def test_rows_that_somebody_edited(kind: str, tmp_path: Path, servers: Callable[[str, str], URL]) -> None:
    """SQLite takes anything in any column."""
    with opened("sqlite", kind, tmp_path, servers) as (old, new), app_on(old, tmp_path) as run:
        ids = dispatch(run, 3)
        odd = ["x'00ff'", "'a' || char(0) || 'b'", "'☕'", "1e400", "-1", "99999999999", "NULL", f"'{'y' * 1000}'"]
        for number, (column, value) in enumerate(itertools.product(jobs.columns.keys(), odd)):
            if column in ("id", "status", "backend") or (value == "NULL" and not jobs.c[column].nullable):
                continue
            sql = f"UPDATE background_jobs SET {column} = {value} WHERE id = {ids[number % 2]}"
            with old.writing() as connection:
                connection.exec_driver_sql(sql)
        with old.writing() as connection:
            connection.exec_driver_sql("UPDATE job_logs SET message = x'00ff', created_at = 'soon' WHERE id % 2")
            connection.exec_driver_sql("UPDATE job_attempts SET started_at = 7, pid = 'me'")
            connection.exec_driver_sql("UPDATE bgjobs_metrics SET seconds = 'many'")
        result = run("bgjobs", "move", "--to", url_of(new))
        assert (result.exit_code, result.stderr) == (0, "")
        assert ids_in(new) == ids
        assert len(rows_of(new, logs)["job_logs"]) == 15


def test_a_job_that_is_not_taken_keeps_nobody_back(tmp_path: Path, servers: Callable[[str, str], URL]) -> None:
    with opened("sqlite", "postgresql", tmp_path, servers) as (old, new), app_on(old, tmp_path) as run:
        ids = dispatch(run, 5)
        with new.writing() as connection:
            connection.exec_driver_sql(f"ALTER TABLE background_jobs ADD CONSTRAINT odd CHECK (id <> {ids[2]})")
        result = run("bgjobs", "move", "--to", url_of(new), "--finish")
        with new.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE background_jobs DROP CONSTRAINT odd")
        assert result.exit_code == 1
        assert result.stderr == f"The new database does not take 1 jobs, which stay: {ids[2]}\n"
        assert ids_in(new) == [*ids[:2], *ids[3:]]
        assert run("bgjobs", "move", "--to", url_of(new), "--finish").exit_code == 0
        assert ids_in(new) == ids


def test_a_database_with_other_jobs(tmp_path: Path, servers: Callable[[str, str], URL]) -> None:
    with (
        opened("sqlite", "postgresql", tmp_path, servers) as (old, new),
        app_on(old, tmp_path) as run,
        app_on(new, tmp_path) as other,
    ):
        dispatch(run, 1)
        dispatch(other, 1)
        before = rows_of(new, *NUMBERED)
        for command_line, options in (
            (run, ["--to", url_of(new)]),
            (other, ["--from", url_of(old), "--finish"]),
            (run, ["--from", url_of(new)]),
        ):
            result = command_line("bgjobs", "move", *options)
            assert result.exit_code == 2
            assert "holds other jobs" in result.stderr
            assert "Name an empty database" in result.stderr
        assert rows_of(new, *NUMBERED) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "Say where to, with --to URI, or where from"),
        (["--to", "sqlite:///b.db", "--from", "sqlite:///c.db"], "Say where to"),
        (["--to", "sqlite:///app.db"], "already. Name another database."),
        (["--from", "sqlite:///none.db"], "There is no file"),
        (["--to", "sqlite://"], "in memory"),
        (["--to", "my secret words"], "Name the database by an SQLAlchemy URL"),
        (["--to", "oracle+nothing://u:secret@h/d"], "There is no driver for this database"),
        (["--to", "postgresql+psycopg://u:secret@127.0.0.1:1/d"], "Look whether it is there"),
    ],
)
def test_what_is_refused(run: CommandLine, options: list[str], words: str) -> None:
    result = run("bgjobs", "move", *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "secret" not in result.output
    assert not (run.folder / "none.db").exists()


def test_the_file_of_the_application_by_another_name(run: CommandLine) -> None:
    (run.folder / "linked.db").symlink_to("app.db")
    assert "already" in run("bgjobs", "move", "--to", "sqlite:///linked.db").stderr


# -- as processes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SERVERS)
def test_killed_in_the_middle_and_repeated(
    kind: str, shell: Shell, folder: Path, tmp_path: Path, servers: Callable[[str, str], URL], until: Any
) -> None:
    old, new = Database(f"sqlite:///{folder / 'app.db'}"), made(kind, "new", tmp_path, servers)
    seed(old, 3000)
    command = ("bgjobs", "move", "--to", url_of(new), "--finish", "--batch", "20")
    for share in (1, 4):
        process = shell.start(*command)
        until(lambda share=share: len(ids_in(new)) > 400 * share, 60)
        process.kill()
        process.communicate()
        assert 0 < len(ids_in(new)) < 3000
    two = [shell.start(*command), shell.start(*command)]  # and nobody is in the way of another
    for process in two:
        _, errors = process.communicate(timeout=60)
        assert errors == ""
    status, output, errors = shell.run(*command)
    assert (status, errors) == (0, "")
    assert output.splitlines() == [
        "Copied 0 jobs that have ended, of 3,000.",
        "Handed over 0 jobs that waited.",
        "Nothing is left in the old database but history.",
    ]
    before, after = rows_of(old, *NUMBERED), rows_of(new, *NUMBERED)
    assert len(ids_in(new)) == 3000
    assert after["job_attempts"] == before["job_attempts"]
    assert after["job_logs"] == before["job_logs"]
    old.dispose()
    new.dispose()


@pytest.mark.parametrize("kind", SERVERS)
def test_thousands_of_jobs(kind: str, tmp_path: Path, servers: Callable[[str, str], URL]) -> None:
    with opened("sqlite", kind, tmp_path, servers) as (old, new), app_on(old, tmp_path) as run:
        seed(old, 3000)
        started = time.monotonic()
        assert run("bgjobs", "move", "--to", url_of(new)).exit_code == 0
        seconds = time.monotonic() - started
        assert len(ids_in(new)) == 2700
        assert seconds < 30, "2,000 jobs a second, measured on a busy machine"


def seed(database: Database, number: int) -> None:
    """Jobs with an attempt and four logs each; every tenth waits, for a day on which nobody looks."""
    with database.writing() as connection:
        later = THEN + timedelta(days=36500)
        connection.execute(
            insert(jobs),
            [
                {
                    "id": job_id,
                    "class_name": WORK,
                    "method_name": "show",
                    "parameters": {"number": job_id},
                    "status": "completed" if job_id % 10 else "pending",
                    "attempt": job_id % 10 and 1,
                    "result": {"number": job_id},
                    "scheduled_at": THEN if job_id % 10 else later,
                    "created_at": THEN,
                    "updated_at": THEN,
                }
                for job_id in range(1, number + 1)
            ],
        )
        connection.execute(
            insert(attempts),
            [
                {"background_job_id": job_id, "number": 1, "execution_token": "t", "started_at": THEN}
                for job_id in range(1, number + 1)
                if job_id % 10
            ],
        )
        connection.execute(
            insert(logs),
            [
                {"background_job_id": 1 + line // 4, "type": "info", "message": f"line {line}", "created_at": THEN}
                for line in range(4 * number)
            ],
        )


def ids_in(database: Database) -> list[int]:
    with database.reading() as connection:
        return list(connection.scalars(select(jobs.c.id).order_by(jobs.c.id)))


def statuses(database: Database, *ids: int) -> list[str]:
    with database.reading() as connection:
        return list(connection.scalars(select(jobs.c.status).where(jobs.c.id.in_(ids)).order_by(jobs.c.id)))


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
