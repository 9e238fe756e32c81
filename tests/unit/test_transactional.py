"""F31, F32: a job in the caller's transaction lives and dies with it, and nobody waits for himself."""

import logging
import sqlite3
import threading
import time
from contextlib import closing

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from bgjobs import run_background_job
from bgjobs.exceptions import (
    BackendUnavailable,
    ConfigurationError,
    EnqueueWouldDeadlock,
    InvalidParameters,
    JobNotFound,
    QueueFull,
)

ran = []


class Job:
    def run(self, number=0):
        ran.append(number)
        return number

    def fail(self):
        raise ValueError("no")


@pytest.fixture
def site(make_site):
    """An application with a table of its own, in which nothing was ever dispatched."""
    ran.clear()
    site = make_site(Job, fresh=True)
    site.query("CREATE TABLE customers (name TEXT)")
    return site


@pytest.fixture
def used(site):
    """The same after its first dispatch: the tables are there."""
    site.dispatch(Job, "run")
    ran.clear()
    return site


def add_customer(site, name="Ada", session=None):
    (session or site.db.session).execute(text("INSERT INTO customers VALUES (:name)"), {"name": name})


def customers(site):
    return [name for (name,) in site.query("SELECT name FROM customers")]


def jobs_of(site):
    found = site.query("SELECT name FROM sqlite_master WHERE name = 'background_jobs'")
    return site.query("SELECT id, status FROM background_jobs ORDER BY id") if found else []


# -- session= -----------------------------------------------------------------------------------------


def test_the_job_runs_after_the_commit_and_not_before(used):
    with used.app.app_context():
        add_customer(used)
        handle = run_background_job(Job, "run", [7], session=used.db.session)
        assert (ran, handle.status) == ([], "pending")
        with pytest.raises(JobNotFound):
            handle.refresh()
        logged = used.log()
        used.db.session.commit()
        assert ran == [7]
        assert handle.refresh().status == "completed"
    assert customers(used) == ["Ada"]
    assert used.log().removeprefix(logged).count("Background job initiated") == 1


def test_a_rollback_removes_job_logs_and_data(used):
    before = (used.count(), used.log(), used.query("SELECT count(*) FROM job_logs"))
    with used.app.app_context():
        add_customer(used)
        handle = run_background_job(Job, "run", session=used.db.session)
        used.db.session.rollback()
        with pytest.raises(JobNotFound):
            handle.refresh()
        assert handle.logs() == []
    assert ran == []
    assert customers(used) == []
    assert (used.count(), used.log(), used.query("SELECT count(*) FROM job_logs")) == before


def test_a_rollback_to_a_savepoint_removes_the_job_and_keeps_what_was_before(used):
    with used.app.app_context():
        add_customer(used, "before")
        kept = run_background_job(Job, "run", [1], session=used.db.session)
        savepoint = used.db.session.begin_nested()
        add_customer(used, "inside")
        run_background_job(Job, "run", [2], session=used.db.session)
        savepoint.rollback()
        assert ran == []
        last = run_background_job(Job, "run", [3], session=used.db.session)
        used.db.session.commit()
        assert [kept.refresh().status, last.refresh().status] == ["completed", "completed"]
    assert ran == [1, 3]
    assert customers(used) == ["before"]


def test_the_release_of_a_savepoint_is_no_commit(used):
    with used.app.app_context():
        add_customer(used)
        with used.db.session.begin_nested():
            run_background_job(Job, "run", [1], session=used.db.session)
        assert ran == []
        used.db.session.rollback()
    assert ran == []
    assert len(jobs_of(used)) == 1


def test_a_commit_after_the_release_runs_the_job(used):
    with used.app.app_context():
        add_customer(used)
        with used.db.session.begin_nested():
            run_background_job(Job, "run", [1], session=used.db.session)
        used.db.session.commit()
    assert ran == [1]


def test_the_end_of_the_request_without_a_commit_is_a_rollback(used):
    @used.app.route("/forgets-to-commit")
    def view():
        add_customer(used)
        return str(run_background_job(Job, "run", session=used.db.session))

    used.app.test_client().get("/forgets-to-commit")
    assert ran == []
    assert customers(used) == []
    assert len(jobs_of(used)) == 1


def test_several_jobs_in_one_transaction_run_in_their_order(used):
    with used.app.app_context():
        for number in range(5):
            run_background_job(Job, "run", [number], session=used.db.session)
        used.db.session.commit()
        assert ran == [0, 1, 2, 3, 4]
        run_background_job(Job, "run", [5], session=used.db.session)
        used.db.session.commit()
    assert ran == [0, 1, 2, 3, 4, 5]


def test_the_session_goes_on_being_used_after_a_rollback_with_a_job(used):
    with used.app.app_context():
        run_background_job(Job, "run", [1], session=used.db.session)
        used.db.session.rollback()
        run_background_job(Job, "run", [2], session=used.db.session)
        used.db.session.commit()
    assert ran == [2]


def a_flask_session(site):
    return site.db.session


def the_real_session(site):
    return site.db.session()


def a_plain_session(site):
    return Session(site.db.engine)


def a_scoped_session(site):
    return scoped_session(sessionmaker(site.db.engine))


def a_session_on_a_connection(site):
    return Session(site.db.engine.connect())


def a_session_on_an_engine_of_its_own(site):
    return Session(create_engine(f"sqlite:///{site.folder}/../{site.folder.name}/app.db"))


@pytest.mark.parametrize(
    "make_session",
    [
        a_flask_session,
        the_real_session,
        a_plain_session,
        a_scoped_session,
        a_session_on_a_connection,
        a_session_on_an_engine_of_its_own,
    ],
)
@pytest.mark.parametrize("ends", ["commit", "rollback"])
@pytest.mark.parametrize("first", [True, False])
def test_every_kind_of_session_on_this_database_will_do(site, make_session, ends, first):
    if not first:
        site.dispatch(Job, "run")
        ran.clear()
    before = len(jobs_of(site))
    with site.app.app_context():
        session = make_session(site)
        add_customer(site, session=session)
        run_background_job(Job, "run", [7], session=session)
        getattr(session, ends)()
        bind = session.get_bind() if not hasattr(session, "registry") else None
        session.close()
        if getattr(bind, "close", None):
            bind.close()
    kept = ends == "commit"
    assert ran == ([7] if kept else [])
    assert len(jobs_of(site)) == before + kept
    assert customers(site) == (["Ada"] if kept else [])


def test_a_session_of_another_database_is_refused_and_gets_no_tables(used, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    with used.app.app_context(), Session(engine) as session:
        with pytest.raises(ConfigurationError, match="another"):
            run_background_job(Job, "run", session=session)
        session.commit()
        assert session.scalars(text("SELECT name FROM sqlite_master")).all() == []
    engine.dispose()


def test_a_session_is_refused_where_the_jobs_have_a_database_of_their_own(make_site, tmp_path):
    site = make_site(Job, database_uri=f"sqlite:///{tmp_path / 'jobs.db'}", fresh=True)
    with site.app.app_context():
        with pytest.raises(ConfigurationError, match="BGJOBS_DATABASE_URI"):
            run_background_job(Job, "run", session=site.db.session)
        assert run_background_job(Job, "run").refresh().status == "completed"
    assert site.query("SELECT name FROM sqlite_master") == []


@pytest.mark.parametrize("wrong", ["session", 5, object(), {}])
def test_what_is_no_session_is_told(used, wrong):
    with used.app.app_context(), pytest.raises(InvalidParameters, match="session"):
        run_background_job(Job, "run", session=wrong)


def test_what_is_refused_leaves_the_callers_transaction_as_it_was(make_site):
    site = make_site(Job, backend="local", max_pending=1)
    site.query("CREATE TABLE customers (name TEXT)")
    with site.app.app_context():
        run_background_job(Job, "run")
        add_customer(site)
        with pytest.raises(QueueFull):
            run_background_job(Job, "run", session=site.db.session)
        with pytest.raises(InvalidParameters):
            run_background_job(Job, "run", {"unknown": 1}, session=site.db.session)
        site.db.session.commit()
    assert customers(site) == ["Ada"]
    assert len(jobs_of(site)) == 1


# -- the first dispatch ever --------------------------------------------------------------------------


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_the_first_dispatch_ever_may_be_inside_an_open_write_transaction(site, ends):
    with site.app.app_context():
        add_customer(site)
        run_background_job(Job, "run", [1], session=site.db.session)
        getattr(site.db.session, ends)()
        assert ran == ([1] if ends == "commit" else [])
        assert run_background_job(Job, "run", [2]).refresh().status == "completed"
        run_background_job(Job, "run", [3], session=site.db.session)
        site.db.session.commit()
    assert ran[-2:] == [2, 3]
    assert site.query("SELECT version_num FROM bgjobs_version") == [("0001",)]
    assert site.query("PRAGMA integrity_check") == [("ok",)]


def test_the_first_dispatch_ever_may_be_the_first_statement_of_its_session(site):
    with site.app.app_context():
        run_background_job(Job, "run", [1], session=site.db.session)
        site.db.session.rollback()
        run_background_job(Job, "run", [2], session=site.db.session)
        site.db.session.commit()
    assert ran == [2]
    assert site.query("SELECT version_num FROM bgjobs_version") == [("0001",)]


def test_a_first_dispatch_that_breaks_off_leaves_no_half_of_the_tables(site, monkeypatch):
    """Python's driver begins no transaction before CREATE TABLE, so it has to be in one of ours."""
    from bgjobs import schema

    real = schema.command.upgrade

    def breaks_off(config, revision):
        real(config, revision)
        raise RuntimeError("the power went out")

    monkeypatch.setattr(schema.command, "upgrade", breaks_off)
    with site.app.app_context():
        with pytest.raises(RuntimeError):
            run_background_job(Job, "run", session=site.db.session)
        site.db.session.rollback()
    monkeypatch.undo()
    assert site.query("SELECT name FROM sqlite_master WHERE name LIKE 'background%'") == []
    assert site.dispatch(Job, "run").status == "completed"


def test_many_threads_may_come_first_with_their_sessions(site):
    errors, start = [], threading.Barrier(6)

    def dispatch(number):
        with site.app.app_context():
            start.wait()
            for _ in range(100):  # a caller tries again what is said to have changed nothing
                try:
                    run_background_job(Job, "run", [number], session=site.db.session)
                    site.db.session.commit()
                    return
                except BackendUnavailable:
                    site.db.session.rollback()
                except BaseException as error:
                    errors.append(error)
                    return

    threads = [threading.Thread(target=dispatch, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(ran) == list(range(6))


# -- without session= ---------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
def test_a_dispatch_that_would_wait_for_its_own_caller_is_refused_at_once(site, first):
    if not first:
        site.dispatch(Job, "run")
    before = len(jobs_of(site))
    with site.app.app_context():
        add_customer(site)
        started = time.perf_counter()
        with pytest.raises(EnqueueWouldDeadlock, match=r"session=db\.session"):
            run_background_job(Job, "run", [1])
        assert time.perf_counter() - started < 0.5
        site.db.session.commit()
        assert len(jobs_of(site)) == before
        ran.clear()
        assert run_background_job(Job, "run", [2]).refresh().status == "completed"
    assert ran == [2]
    assert customers(site) == ["Ada"]


def test_with_a_session_the_same_dispatch_is_quick(used):
    with used.app.app_context():
        add_customer(used)
        started = time.perf_counter()
        run_background_job(Job, "run", session=used.db.session)
        assert time.perf_counter() - started < 0.5
        used.db.session.commit()


@pytest.mark.parametrize("first", [True, False])
def test_a_session_that_only_read_is_no_reason_to_refuse(site, first):
    if not first:
        site.dispatch(Job, "run")
    with site.app.app_context():
        site.db.session.execute(text("SELECT * FROM customers")).all()
        started = time.perf_counter()
        assert run_background_job(Job, "run").refresh().status == "completed"
        assert time.perf_counter() - started < 1.0


def begin_by_itself(engine):
    """What SQLAlchemy recommends to applications that need serializable reads."""

    @event.listens_for(engine, "connect")
    def connect(connection, record):
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN")


@pytest.mark.parametrize("writes", [True, False])
def test_an_application_that_begins_its_transactions_itself(used, writes):
    with used.app.app_context():
        used.db.engine.dispose()
        begin_by_itself(used.db.engine)
        if writes:
            add_customer(used)
            with pytest.raises(EnqueueWouldDeadlock):
                run_background_job(Job, "run")
        else:
            used.db.session.execute(text("SELECT * FROM customers")).all()
            assert run_background_job(Job, "run").refresh().status == "completed"
        used.db.session.rollback()


def test_a_session_that_has_to_be_rolled_back_is_not_what_the_dispatch_complains_of(used):
    """After a failed flush the session refuses everything until its rollback, and holds nothing."""
    model = type(
        "Unique", (used.db.Model,), {"__tablename__": "u", "id": used.db.Column(used.db.Integer, primary_key=True)}
    )
    with used.app.app_context():
        used.db.create_all()
        used.db.session.add(model(id=1))
        used.db.session.commit()
        used.db.session.expunge_all()
        used.db.session.add(model(id=1))
        with pytest.raises(Exception, match="UNIQUE"):
            used.db.session.flush()
        assert run_background_job(Job, "run").refresh().status == "completed"
        used.db.session.rollback()


def test_jobs_in_a_database_of_their_own_know_no_such_deadlock(make_site, tmp_path):
    site = make_site(Job, database_uri=f"sqlite:///{tmp_path / 'jobs.db'}", fresh=True)
    site.query("CREATE TABLE customers (name TEXT)")
    with site.app.app_context():
        add_customer(site)
        assert run_background_job(Job, "run").refresh().status == "completed"
        site.db.session.rollback()


def test_a_stranger_who_holds_the_lock_for_a_moment_is_waited_for(used):
    stranger = sqlite3.connect(used.folder / "app.db", isolation_level=None, check_same_thread=False)
    with closing(stranger), used.app.app_context():
        used.db.session.execute(text("SELECT * FROM customers")).all()
        stranger.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.3, lambda: stranger.execute("COMMIT"))
        timer.start()
        assert run_background_job(Job, "run").refresh().status == "completed"
        timer.join()


# -- what happens after the commit --------------------------------------------------------------------


def test_whoever_cannot_be_told_after_the_commit_does_not_make_it_fail(used, monkeypatch, caplog):
    def nobody(self, job_ids):
        raise OSError("no process can be started")

    monkeypatch.setattr(type(used.state.backend), "dispatched", nobody)
    with used.app.app_context(), caplog.at_level(logging.WARNING, "bgjobs"):
        add_customer(used)
        run_background_job(Job, "run", session=used.db.session)
        used.db.session.commit()
    assert customers(used) == ["Ada"]
    assert jobs_of(used)[-1][1] == "pending"
    assert "no process can be started" in caplog.text


def test_a_dispatch_that_is_stored_does_not_raise_because_nobody_could_be_told(used, monkeypatch, caplog):
    def nobody(self, job_ids):
        raise OSError("no process can be started")

    monkeypatch.setattr(type(used.state.backend), "dispatched", nobody)
    with caplog.at_level(logging.WARNING, "bgjobs"):
        handle = used.dispatch(Job, "run")
    assert handle.status == "pending"
    assert "no process can be started" in caplog.text


def test_the_hosts_own_listeners_on_the_session_still_hear_everything(used):
    heard = []
    with used.app.app_context():
        session = used.db.session()
        for name in ("after_commit", "after_transaction_end"):
            event.listen(session, name, lambda *args, name=name: heard.append(name))
        run_background_job(Job, "run", [1], session=session)
        session.commit()
        run_background_job(Job, "run", [2], session=session)
        session.commit()
    assert ran == [1, 2]
    assert heard.count("after_commit") == 2
    assert heard.count("after_transaction_end") >= 2


def test_a_job_of_the_transaction_may_use_the_session_itself(make_site):
    site = make_site(UsesTheSession)
    site.query("CREATE TABLE customers (name TEXT)")
    UsesTheSession.site = site
    with site.app.app_context():
        add_customer(site)
        handle = run_background_job(UsesTheSession, "run", session=site.db.session)
        site.db.session.commit()
        assert handle.refresh().status == "completed"
        assert site.row(handle.id).result == ["Ada"]
    assert customers(site) == ["Ada", "Bea"]


class UsesTheSession:
    site = None

    def run(self):
        found = self.site.db.session.scalars(text("SELECT name FROM customers")).all()
        add_customer(self.site, "Bea")
        self.site.db.session.commit()
        return list(found)
