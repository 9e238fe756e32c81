"""Our own engine: its settings, its patience, and that no driver's error reaches a caller."""

import os
import sqlite3
import threading
import time
from contextlib import closing

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from bgjobs import database as database_module
from bgjobs import run_background_job
from bgjobs.database import Database, same_database
from bgjobs.database_errors import answering
from bgjobs.exceptions import BackendUnavailable, ConfigurationError, JobRunnerException


class Job:
    def run(self):
        return 1


@pytest.fixture
def make_database(tmp_path):
    made = []

    def make(name="jobs.db", **options):
        made.append(Database(f"sqlite:///{tmp_path / name}", **options))
        return made[-1]

    yield make
    for database in made:
        database.dispose()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:jobs?mode=memory&cache=shared&uri=true",
        "sqlite+pysqlite:///:memory:",
    ],
)
def test_a_database_in_memory_is_refused_because_jobs_run_in_other_processes(url):
    with pytest.raises(ConfigurationError, match="in memory") as refused:
        Database(url)
    assert refused.value.setting == "BGJOBS_DATABASE_URI"


def test_an_app_with_a_database_in_memory_is_told_at_its_first_dispatch():
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    from bgjobs import BackgroundJobs, ExampleJob

    app = Flask("a_site")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", BGJOBS_BACKEND="inline")
    BackgroundJobs(app, SQLAlchemy(app))
    with app.app_context(), pytest.raises(ConfigurationError, match="in memory"):
        run_background_job(ExampleJob, "run")


def test_nothing_is_opened_before_the_first_transaction(make_database, tmp_path):
    make_database()
    assert list(tmp_path.iterdir()) == []


PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL
    "foreign_keys": 1,
    "busy_timeout": 5000,
    "journal_size_limit": 67108864,
}


@pytest.mark.parametrize("pragma", PRAGMAS)
def test_each_connection_has_our_settings(make_database, pragma):
    with make_database().writing() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == PRAGMAS[pragma]


def test_the_engine_of_the_application_keeps_its_own_settings(make_site):
    site = make_site(Job)
    site.dispatch(Job, "run")
    with site.app.app_context(), site.db.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 0
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
        assert connection.connection.dbapi_connection.text_factory is str
        assert not connection.connection.dbapi_connection.in_transaction


def test_a_block_that_ends_is_committed_and_one_that_raises_is_rolled_back(make_database):
    database = make_database()
    insert = text("INSERT INTO bgjobs_meta (key, value) VALUES (:key, 'x')")
    with database.writing() as connection:
        connection.execute(insert, {"key": "kept"})
    with pytest.raises(KeyError), database.writing() as connection:
        connection.execute(insert, {"key": "gone"})
        raise KeyError
    with database.reading() as connection:
        assert connection.scalars(text("SELECT key FROM bgjobs_meta WHERE value = 'x'")).all() == ["kept"]


def test_a_writer_holds_the_lock_from_the_beginning(make_database, tmp_path):
    """One that took it at its first write would fail then, without waiting, if somebody had written meanwhile."""
    database = make_database()
    with (
        database.writing(),
        closing(sqlite3.connect(tmp_path / "jobs.db", timeout=0)) as stranger,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        stranger.execute("BEGIN IMMEDIATE")
    assert not database.is_locked()
    with database.writing():
        assert database.is_locked()
    with database.reading() as connection:
        connection.scalar(text("SELECT 1"))
        assert not database.is_locked()


def test_a_reader_sees_one_moment_and_waits_for_no_writer(make_database):
    database, other = make_database(), make_database()
    with database.reading() as connection:
        count = text("SELECT count(*) FROM bgjobs_meta WHERE value = 'b'")
        assert connection.scalar(count) == 0
        with other.writing() as writer:
            writer.execute(text("INSERT INTO bgjobs_meta VALUES ('a', 'b')"))
        assert connection.scalar(count) == 0
    with database.reading() as connection:
        assert connection.scalar(count) == 1


@pytest.fixture
def locked(make_site):
    """A site whose database somebody else is writing to."""
    site = make_site(Job)
    site.dispatch(Job, "run")
    site.state.store.database.dispose()
    site.state.store.database._engine = None
    site.state.store.database.patience = 0.5
    with closing(site.stranger()) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        yield site


def test_a_dispatch_gives_up_when_its_patience_is_over_and_says_that_nothing_was_written(locked):
    before, started = locked.count(), time.monotonic()
    with pytest.raises(BackendUnavailable, match="Nothing was changed") as refused:
        locked.dispatch(Job, "run")
    assert 0.4 < time.monotonic() - started < 2.0
    assert locked.count() == before
    assert isinstance(refused.value.__cause__, sqlite3.OperationalError)
    assert "locked" in str(refused.value)


def test_a_reader_is_not_kept_waiting_by_the_lock(locked):
    started = time.monotonic()
    assert locked.row(1).status == "completed"
    assert time.monotonic() - started < 0.3


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_changes_give_up_in_the_same_way(locked, action):
    with pytest.raises(BackendUnavailable):
        getattr(locked.state.store, action)(1)


def test_a_lock_that_is_given_back_in_time_is_not_noticed(make_site):
    site = make_site(Job)
    site.dispatch(Job, "run")
    stranger = sqlite3.connect(site.folder / "app.db", isolation_level=None, check_same_thread=False)
    stranger.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.5, lambda: stranger.execute("COMMIT"))
    timer.start()
    assert site.dispatch(Job, "run").status == "completed"
    timer.join()
    stranger.close()


def test_a_dispatch_works_again_when_the_lock_is_gone(make_site):
    site = make_site(Job)
    site.dispatch(Job, "run")
    site.state.store.database.dispose()
    site.state.store.database._engine = None
    site.state.store.database.patience = 0.1
    with closing(site.stranger()) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendUnavailable):
            site.dispatch(Job, "run")
    assert site.dispatch(Job, "run").status == "completed"


def test_the_first_connection_of_a_file_waits_for_whoever_is_just_writing_to_it(make_database, tmp_path):
    """The switch to the write-ahead log does not wait by itself, whatever the timeout of the driver is."""
    stranger = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None, check_same_thread=False)
    stranger.execute("CREATE TABLE customers (name TEXT)")
    stranger.execute("BEGIN IMMEDIATE")
    stranger.execute("INSERT INTO customers VALUES ('Ada')")
    timer = threading.Timer(0.3, lambda: stranger.execute("COMMIT"))
    timer.start()
    with make_database().writing() as connection:
        assert connection.scalar(text("SELECT name FROM customers")) == "Ada"
    timer.join()
    stranger.close()


def test_the_first_connection_gives_up_when_its_patience_is_over(make_database, tmp_path):
    with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as stranger:
        stranger.execute("CREATE TABLE customers (name TEXT)")
        stranger.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.raises(BackendUnavailable), make_database(patience=0.3).writing():
            pass
        assert time.monotonic() - started < 2


SAME = [
    ("sqlite:////srv/app.db", "sqlite:////srv/app.db", True),
    ("sqlite:////srv/app.db", "sqlite+pysqlite:////srv/x/../app.db", True),
    ("sqlite:////srv/app.db", "sqlite:///file:/srv/app.db?uri=true", True),
    ("sqlite:////srv/app.db", "sqlite:////srv/other.db", False),
    ("sqlite:////srv/app.db", "postgresql://h/srv", False),
    ("postgresql+psycopg://u:p@h/shop", "postgresql+psycopg2://other@h/shop", True),
    ("postgresql://h/shop", "postgresql://h/other", False),
    ("postgresql://h/shop", "postgresql://g/shop", False),
]


@pytest.mark.parametrize(("one", "other", "same"), SAME)
def test_two_urls_may_lead_to_one_database(one, other, same):
    assert same_database(make_url(one), make_url(other)) is same
    assert same_database(make_url(other), make_url(one)) is same


def test_the_password_is_not_in_the_message():
    url = make_url("postgresql+psycopg://shop:hunter2@127.0.0.1:1/shop")
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1") as refused, answering(url):
        raise OperationalError("SELECT 1", {}, Exception("connection refused"))
    assert "hunter2" not in str(refused.value)


def test_a_value_that_the_database_does_not_take_is_another_thing():
    with pytest.raises(IntegrityError), answering(make_url("sqlite:///x.db")):
        raise IntegrityError("INSERT", {}, Exception("NOT NULL constraint failed"))


def broken_file(path):
    path.write_bytes(b"this is no database, whatever its name says" * 100)


def broken_folder(path):
    path.mkdir()


def broken_parent(path):
    path.parent.rmdir()
    path.parent.write_text("a file where the folder of jobs.db should be")


@pytest.mark.parametrize("breaks", [broken_file, broken_folder, broken_parent])
def test_a_file_that_is_no_database_is_told_in_our_words(tmp_path, make_database, breaks):
    (tmp_path / "folder").mkdir()
    breaks(tmp_path / "folder" / "jobs.db")
    database = make_database("folder/jobs.db")
    for transaction in (database.writing, database.reading):
        with pytest.raises(BackendUnavailable, match=r"jobs\.db") as refused, transaction():
            pass
        assert not isinstance(refused.value, SQLAlchemyError)


def test_a_missing_folder_is_made(make_database, tmp_path):
    with make_database("new/folder/jobs.db").writing():
        pass
    assert (tmp_path / "new" / "folder" / "jobs.db").exists()


def test_a_path_written_as_a_uri_makes_no_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    database = Database(f"sqlite:///file:{tmp_path}/jobs.db?uri=true")
    with database.writing():
        pass
    database.dispose()
    assert sorted(path.name for path in tmp_path.iterdir() if "-" not in path.name) == ["jobs.db"]


def test_a_database_that_was_deleted_and_made_anew_gets_its_tables_again(make_database, tmp_path):
    database = make_database()
    with database.writing():
        pass
    database.dispose()
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(BackendUnavailable), database.reading() as connection:
        connection.execute(text("SELECT * FROM background_jobs"))
    with database.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM background_jobs")) == 0


def test_threads_that_wait_for_a_connection_get_our_error_and_not_that_of_the_pool(make_database, until):
    database = make_database(patience=0.3)
    with database.writing():
        pass
    release, held, errors = threading.Event(), [], []

    def hold():
        try:
            with database.reading() as connection:
                connection.scalar(text("SELECT 1"))
                held.append(1)
                release.wait(30)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=hold) for _ in range(20)]
    for thread in threads:
        thread.start()
    until(lambda: len(held) + len(errors) == 20)
    release.set()
    for thread in threads:
        thread.join()
    assert errors
    assert all(isinstance(error, BackendUnavailable) for error in errors)


def test_many_threads_may_dispatch_at_once(make_site):
    site = make_site(Job, backend="local")
    errors, start = [], threading.Barrier(12)

    def dispatch():
        start.wait()
        try:
            for _ in range(10):
                site.dispatch(Job, "run")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=dispatch) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert site.count() == 120
    assert len({row[0] for row in site.query("SELECT id FROM background_jobs")}) == 120


def test_a_connection_does_not_cross_a_fork(make_database, tmp_path):
    database = make_database()
    with database.writing():
        pass
    before = database.engine
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with database.writing() as connection:
                connection.execute(text("INSERT INTO bgjobs_meta VALUES ('child', 'x')"))
            os.write(writing, b"other" if database.engine is not before else b"same")
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 10) == b"other"
    os.close(reading)
    os.waitpid(child, 0)
    assert database.engine is before
    with database.writing() as connection:
        assert connection.scalar(text("SELECT count(*) FROM bgjobs_meta WHERE value = 'x'")) == 1
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_a_database_without_a_pool_keeps_no_connection(make_database, tmp_path):
    database = make_database(pooled=False)
    for _ in range(3):
        with database.writing():
            pass
    open_files = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_link(fd)]
    assert not any(str(tmp_path) in name for name in open_files)


def _is_link(fd):
    return os.path.islink(f"/proc/self/fd/{fd}")


def test_the_patience_of_a_caller_and_of_the_supervisor():
    assert (database_module.PATIENCE_OF_CALLER, database_module.PATIENCE_OF_SUPERVISOR) == (5.0, 1.0)


def test_our_errors_are_one_family():
    assert issubclass(BackendUnavailable, JobRunnerException)
    assert not issubclass(BackendUnavailable, ConfigurationError)
