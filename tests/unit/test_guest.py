"""A good guest: the host's own migrations leave our tables alone, its setup stays as it was, nothing starts."""

import gc
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

import bgjobs
from bgjobs import BackgroundJobs, ExampleJob, exceptions, run_background_job
from bgjobs.app_state import app_state
from bgjobs.guest import is_ours


def build(tmp_path, order, **migrate_options):
    """An application with one table, its three extensions set up in ``order``."""
    app = Flask("a_host", instance_path=str(tmp_path))
    app.config.update(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'app.db'}", BGJOBS_BACKEND="inline")
    db, migrate, jobs = SQLAlchemy(app), Migrate(), BackgroundJobs()

    class Customer(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    steps = {
        "migrate": lambda: migrate.init_app(app, db, **migrate_options),
        "bgjobs": lambda: jobs.init_app(app, db),
        "context": lambda: _push_a_context(app),
        "dispatch": lambda: _dispatch(app),
        "create_all": lambda: _create_all(app, db),
    }
    for step in order:
        steps[step]()
    return app, db


def _push_a_context(app):
    with app.app_context():
        pass


def _dispatch(app):
    with app.app_context():
        run_background_job(ExampleJob, "run")


def _create_all(app, db):
    with app.app_context():
        db.create_all()


def proposed(app, db):
    """What ``flask db migrate`` would write, as names of tables to make and to drop."""
    with app.app_context(), db.engine.connect() as connection:
        options = dict(app.extensions["migrate"].configure_args)
        context = MigrationContext.configure(connection, opts={"target_metadata": db.metadata, **options})
        script = produce_migrations(context, db.metadata)
        operations = script.upgrade_ops.ops
    return sorted((type(operation).__name__, operation.table_name) for operation in operations)


@pytest.mark.parametrize(
    "order",
    [
        ["migrate", "bgjobs"],
        ["bgjobs", "migrate"],
        ["bgjobs", "context", "migrate"],
        ["bgjobs", "create_all", "migrate"],
        ["bgjobs", "dispatch", "migrate"],
        ["migrate", "context", "bgjobs"],
    ],
    ids="-".join,
)
def test_the_hosts_migrations_do_not_propose_to_drop_our_tables(tmp_path, order):
    app, db = build(tmp_path, order)
    _dispatch(app)
    assert [table for kind, table in proposed(app, db) if kind != "CreateTableOp"] == []
    if "create_all" not in order:
        assert proposed(app, db) == [("CreateTableOp", "customer")]


@pytest.mark.parametrize("order", [["migrate", "bgjobs"], ["bgjobs", "migrate"]])
def test_without_our_protection_they_would_be_dropped(tmp_path, order, monkeypatch):
    """The test above can fail."""
    monkeypatch.setattr("bgjobs.guest.is_ours", lambda name: False)
    app, db = build(tmp_path, order)
    _dispatch(app)
    assert ("DropTableOp", "background_jobs") in proposed(app, db)


@pytest.mark.parametrize("order", [["migrate", "bgjobs"], ["bgjobs", "migrate"]])
def test_the_hosts_own_filter_is_asked_as_before(tmp_path, order):
    asked = []

    def own_filter(item, name, kind, reflected, compare_to):
        asked.append(name)
        return name != "customer"

    app, db = build(tmp_path, order, include_object=own_filter)
    _dispatch(app)
    assert proposed(app, db) == []
    assert "customer" in asked
    assert "background_jobs" not in asked


def test_a_table_that_only_begins_like_ours_is_the_hosts(tmp_path):
    app, db = build(tmp_path, ["bgjobs", "migrate"])
    with app.app_context():
        with db.engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE background_jobs_of_mine (id INTEGER PRIMARY KEY)"))
        assert ("DropTableOp", "background_jobs_of_mine") in proposed(app, db)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("background_jobs", True),
        ("job_logs", True),
        ("job_attempts", True),
        ("bgjobs_meta", True),
        ("bgjobs_version", True),
        ("job_logs_search", True),
        ("job_logs_search_data", True),
        ("jobs", False),
        ("alembic_version", False),
        ("customers", False),
        (None, False),
    ],
)
def test_which_tables_are_ours(name, ours):
    assert is_ours(name) is ours


def test_flask_db_migrate_and_upgrade_work_as_a_whole(tmp_path):
    (tmp_path / "app.py").write_text(
        """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from bgjobs import BackgroundJobs, ExampleJob, run_background_job
app = Flask(__name__)
app.config.update(SQLALCHEMY_DATABASE_URI="sqlite:///app.db", BGJOBS_BACKEND="inline")
db = SQLAlchemy(app)
class Customer(db.Model):
    id = db.Column(db.Integer, primary_key=True)
jobs = BackgroundJobs(app, db)
with app.app_context():
    run_background_job(ExampleJob, "run")
Migrate(app, db)
"""
    )

    def flask(*arguments):
        ran = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "app", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr

    flask("db", "init")
    flask("db", "migrate")
    (script,) = (tmp_path / "migrations" / "versions").glob("*.py")
    assert "create_table('customer'" in script.read_text()
    assert "background_jobs" not in script.read_text()
    assert "job_logs" not in script.read_text()


def test_setting_up_touches_neither_database_nor_process_nor_folder(tmp_path):
    threads = threading.active_count()
    instance = tmp_path / "instance"
    app = Flask("a_host", instance_path=str(instance))
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'app.db'}"
    db = SQLAlchemy(app)
    BackgroundJobs(app, db)
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads


def test_the_database_may_be_found_on_the_app(tmp_path):
    app = Flask("a_host", instance_path=str(tmp_path))
    app.config.update(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'app.db'}", BGJOBS_BACKEND="inline")
    SQLAlchemy(app)
    BackgroundJobs(app)
    with app.app_context():
        assert run_background_job(ExampleJob, "run").refresh().status == "completed"


def test_our_models_work_in_the_hosts_session(make_site):
    from bgjobs import BackgroundJob, JobLog

    site = make_site()
    handle = site.dispatch(ExampleJob, "run")
    with site.app.app_context():
        job = site.db.session.get(BackgroundJob, handle.id)
        assert (job.status, len(job.logs), len(job.attempts)) == ("completed", 5, 1)
        assert isinstance(job.logs[0], JobLog)
        assert job.created_at.tzinfo is not None


def test_our_tables_are_not_in_the_hosts_metadata(make_site):
    site = make_site()
    with site.app.app_context():
        assert not set(site.db.metadata.tables) & {"background_jobs", "job_logs", "job_attempts"}
        site.db.create_all()
        site.db.drop_all()
        assert run_background_job(ExampleJob, "run").refresh().status == "completed"
        site.db.drop_all()
        assert site.count() == 1


HEAVY = (
    "alembic",
    "mako",
    "celery",
    "redis",
    "prometheus_client",
    "rich",
    "setproctitle",
    "flask_migrate",
    "hypothesis",
)


def test_importing_bgjobs_pulls_nothing_that_is_optional():
    script = f"""
import sys
import bgjobs
found = {HEAVY!r}
assert not [name for name in sys.modules if name.partition(".")[0] in found], sorted(sys.modules)
import threading
assert threading.active_count() == 1
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


PUBLIC = """BackgroundJobs run_background_job current_job CustomBackgroundJobRunner CustomLogger ExampleJob
JobRunnerException BackgroundJob JobLog role""".split()  # noqa: SIM905
FAMILY = """ClassNotApproved MethodNotApproved InvalidParameters EnqueueWouldDeadlock QueueFull JobNotFound
InvalidTransition JobTimedOut JobCancelled JobProcessLost JobWaitTimeout ConfigurationError
BackendUnavailable""".split()  # noqa: SIM905


def test_the_public_names_are_those_of_the_contract():
    assert set(PUBLIC) <= set(bgjobs.__all__)
    assert all(hasattr(bgjobs, name) for name in bgjobs.__all__)
    assert (Path(bgjobs.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("name", FAMILY)
def test_every_error_is_of_one_family(name):
    assert issubclass(getattr(exceptions, name), bgjobs.JobRunnerException)


def test_an_application_that_nobody_needs_any_more_leaves_the_memory(tmp_path):
    """A host whose tests make an application each would have all of them in memory at the end."""
    app, db = build(tmp_path, ["migrate", "bgjobs", "dispatch"])
    app.config["BGJOBS_DASHBOARD_ACCESS"] = "open"
    app.test_client().get("/dashboard", buffered=True)
    app_state(app).store.database.dispose()
    with app.app_context():
        db.engine.dispose()
    known = weakref.ref(app)
    del app, db
    gc.collect()
    assert known() is None
