"""The tables come by themselves at the first use, once, and are those of the models."""

import multiprocessing
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from bgjobs import models, run_background_job
from bgjobs.database import SCHEMA_REVISION, Database
from bgjobs.exceptions import ConfigurationError
from bgjobs.guest import is_ours
from bgjobs.locations import migrations_folder

PROCESSES = 6


class Job:
    def run(self):
        return 1


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'jobs.db'}")
    yield database
    database.dispose()


def scripts():
    config = Config()
    config.set_main_option("script_location", migrations_folder())
    return ScriptDirectory.from_config(config)


def test_the_revision_in_the_code_is_the_newest_migration():
    assert scripts().get_current_head() == SCHEMA_REVISION


def test_the_revisions_are_one_line_and_their_names_are_in_order():
    names = [script.revision for script in scripts().walk_revisions()][::-1]
    assert names == sorted(names)
    assert len(scripts().get_heads()) == 1


def test_the_first_transaction_makes_the_tables(database):
    assert database.schema_revision() is None
    with database.reading() as connection:
        found = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")).all()
    assert {"background_jobs", "job_logs", "job_attempts", "bgjobs_meta", "bgjobs_version"} <= set(found)
    assert all(is_ours(name) or name.startswith("sqlite_") for name in found)
    assert database.schema_revision() == SCHEMA_REVISION


def test_the_models_and_the_migrations_make_the_same_tables(database):
    database.migrate()
    with database.reading() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": models.VERSION_TABLE,
                "compare_type": True,
                # The index of the log search is a virtual table: no model can say it.
                "include_name": lambda name, kind, parents: not str(name).startswith(models.LOG_SEARCH),
            },
        )
        assert compare_metadata(context, models.Base.metadata) == []


def test_the_indexes_are_the_same_with_their_conditions(database, tmp_path):
    database.migrate()
    other = Database(f"sqlite:///{tmp_path / 'from_models.db'}")
    models.Base.metadata.create_all(other.engine)

    def indexes(which):
        with which.engine.connect() as connection:
            rows = connection.execute(
                text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql > ''")
            )
            return {row.name: " ".join(row.sql.split()) for row in rows}

    assert indexes(database) == indexes(other)
    other.dispose()


def test_ids_are_autoincrement_in_every_table_of_ids(database):
    database.migrate()
    with database.reading() as connection:
        for table in ("background_jobs", "job_logs", "job_attempts"):
            sql = connection.scalar(text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": table})
            assert "AUTOINCREMENT" in sql


def test_going_down_removes_everything_and_up_again_works(database, tmp_path):
    from alembic import command

    database.migrate()
    config = Config()
    config.set_main_option("script_location", migrations_folder())
    with database.engine.connect().execution_options(bgjobs_begin="IMMEDIATE") as connection, connection.begin():
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection:
        left = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert {name for name in left if is_ours(name)} <= {"bgjobs_version", "sqlite_autoindex_bgjobs_version_1"}
    database.migrate()
    assert database.schema_revision() == SCHEMA_REVISION


def test_migrating_what_is_migrated_changes_nothing(database):
    database.migrate()
    with database.writing() as connection:
        connection.execute(text("INSERT INTO bgjobs_meta VALUES ('a', 'b')"))
        before = connection.execute(text("SELECT * FROM sqlite_master")).all()
    database.migrate()
    with database.reading() as connection:
        assert connection.execute(text("SELECT * FROM sqlite_master")).all() == before
        assert connection.scalar(text("SELECT value FROM bgjobs_meta WHERE key = 'a'")) == "b"


def use_for_the_first_time(path, together, results):
    from bgjobs.custom_logger import CustomLogger
    from bgjobs.redaction import Redactor
    from bgjobs.store import Store

    together.wait()
    try:
        database = Database(f"sqlite:///{path}")
        store = Store(database, CustomLogger(str(Path(path).parent)), Redactor())
        with store.changing() as changes:
            job_id = changes.enqueue_all([_new_job()])[0]
        results.put(("ok", job_id))
    except BaseException as error:
        results.put(("error", repr(error)))


def _new_job():
    from datetime import UTC, datetime

    from bgjobs.store import NewJob

    return NewJob("a.B", "run", {}, datetime.now(UTC), "default", 0, 0, 3, 5.0, None)


def many_first_users(path, results):
    """In a process of its own, so that the processes can be forks of one that has imported everything."""
    context = multiprocessing.get_context("fork")
    together = context.Barrier(PROCESSES)
    processes = [
        context.Process(target=use_for_the_first_time, args=(path, together, results)) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


@pytest.mark.parametrize("before", ["no file", "a database of the host"])
def test_several_processes_that_come_first_make_one_schema(tmp_path, before):
    path = tmp_path / "app.db"
    if before == "a database of the host":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
            connection.commit()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    parent = context.Process(target=many_first_users, args=(str(path), results))
    parent.start()
    found = [results.get(timeout=60) for _ in range(PROCESSES)]
    parent.join()
    assert sorted(found) == [("ok", number) for number in range(1, PROCESSES + 1)]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM bgjobs_version").fetchall() == [(SCHEMA_REVISION,)]
        assert connection.execute("SELECT count(*) FROM background_jobs").fetchone() == (PROCESSES,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_threads_may_migrate_different_databases_at_the_same_time(tmp_path):
    """Two applications in one process; the migration tool keeps its state in global variables."""
    databases = [Database(f"sqlite:///{tmp_path / str(number)}.db") for number in range(6)]
    together, errors = threading.Barrier(len(databases)), []

    def migrate(database):
        together.wait()
        try:
            database.migrate()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=migrate, args=[database]) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {database.schema_revision() for database in databases} == {SCHEMA_REVISION}
    for database in databases:
        database.dispose()


def test_tables_of_a_newer_version_are_left_alone(make_site):
    site = make_site(Job)
    site.dispatch(Job, "run")
    site.query("UPDATE bgjobs_version SET version_num = '9999'")
    with site.app.app_context():
        fresh = Database(site.state.database_url)
    with (
        pytest.raises(ConfigurationError, match="revision 9999, made by a newer version") as refused,
        fresh.writing(),
    ):
        pass
    assert "Update flask-bgjobs" in str(refused.value)
    fresh.dispose()


def test_other_databases_are_upgraded_by_command_only():
    database = Database("postgresql+psycopg://u:p@127.0.0.1:1/x")
    with pytest.raises(ConfigurationError, match="flask bgjobs upgrade"):
        database._check_migratable(None)


def test_the_tables_of_the_host_are_not_touched(make_site):
    site = make_site(Job)
    site.query("CREATE TABLE alembic_version (version_num TEXT)")
    site.query("INSERT INTO alembic_version VALUES ('of the host')")
    site.dispatch(Job, "run")
    assert site.query("SELECT * FROM alembic_version") == [("of the host",)]


def test_alembic_is_not_imported_where_there_is_nothing_to_migrate(make_site):
    import subprocess
    import sys

    site = make_site(Job)
    site.dispatch(Job, "run")
    script = f"""
import sys
from bgjobs.database import Database
with Database("sqlite:///{site.folder / "app.db"}").writing(): pass
assert not any(name.partition(".")[0] in ("alembic", "celery", "mako") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    with site.app.app_context():
        run_background_job(Job, "run")
