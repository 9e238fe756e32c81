"""Every ``BGJOBS_…`` key: its default, what it takes, what it refuses, and that a wrong name is told."""

import os
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.engine import URL

from bgjobs import BackgroundJobs, CustomBackgroundJobRunner, ExampleJob, run_background_job
from bgjobs.exceptions import ConfigurationError
from bgjobs.settings import Settings

DEFAULTS = {
    "BACKEND": "local",
    "BROKER_URL": None,
    "DATABASE_URI": None,
    "RUNNER": None,
    "APPROVED_CLASSES": (),
    "APP": None,
    "PROCESSES": max(4, os.cpu_count() or 1),
    "JOBS_PER_PROCESS": 1,
    "START_METHOD": "auto",
    "IDLE_TIMEOUT": 300.0,
    "READY_WITHIN": None,
    "AUTOSTART": True,
    "TIMEOUT": None,
    "MEMORY": None,
    "NICE": None,
    "KILL_GRACE": 10.0,
    "LEASE": 30.0,
    "MAX_PENDING": None,
    "STATE_DIR": None,
    "LOG_DIR": None,
    "OUTPUT_MAX": 1024 * 1024,
    "RETENTION_COMPLETED": None,
    "RETENTION_FAILED": None,
    "RETENTION_COUNT": None,
    "DASHBOARD_URL": "/dashboard",
    "DASHBOARD_ACCESS": None,
}

TAKEN = [
    ("BACKEND", "inline", "inline"),
    ("BROKER_URL", "redis://:secret@127.0.0.1:6379/0", "redis://:secret@127.0.0.1:6379/0"),
    ("DATABASE_URI", "sqlite:///jobs.db", "sqlite:///jobs.db"),
    ("DATABASE_URI", URL.create("postgresql+psycopg", "u", "p", "host"), "postgresql+psycopg://u:p@host"),
    ("RUNNER", "shop.jobs.Runner", "shop.jobs.Runner"),
    ("RUNNER", ExampleJob, ExampleJob),
    ("APPROVED_CLASSES", ["shop.jobs.Mail", ExampleJob], ["shop.jobs.Mail", ExampleJob]),
    ("APPROVED_CLASSES", {"shop.jobs.Mail": ["send"]}, {"shop.jobs.Mail": ["send"]}),
    ("APP", "shop:create_app()", "shop:create_app()"),
    ("PROCESSES", 1, 1),
    ("PROCESSES", 1024, 1024),
    ("JOBS_PER_PROCESS", 1000, 1000),
    ("START_METHOD", "spawn", "spawn"),
    ("IDLE_TIMEOUT", 0, 0.0),
    ("READY_WITHIN", 60, 60.0),
    ("AUTOSTART", False, False),
    ("TIMEOUT", 2, 2.0),
    ("KILL_GRACE", 0, 0.0),
    ("LEASE", 1, 1.0),
    ("MAX_PENDING", 10_000, 10_000),
    ("STATE_DIR", Path("run"), "run"),
    ("LOG_DIR", "storage/logs", "storage/logs"),
    ("OUTPUT_MAX", 1024, 1024),
    ("RETENTION_COMPLETED", 30, 30.0),
    ("RETENTION_FAILED", 0.5, 0.5),
    ("DASHBOARD_URL", "/ops/jobs", "/ops/jobs"),
    ("DASHBOARD_ACCESS", "open", "open"),
    ("DASHBOARD_ACCESS", len, len),
    ("REDACT", "iban|salary", "iban|salary"),
]

REFUSED = [
    ("BACKEND", "Local"),
    ("BACKEND", ["local"]),
    ("BROKER_URL", "127.0.0.1"),
    ("BROKER_URL", 6379),
    ("DATABASE_URI", ""),
    ("DATABASE_URI", 5),
    ("DATABASE_URI", "no url"),
    ("RUNNER", 3),
    ("APPROVED_CLASSES", "shop.jobs.Mail"),
    ("APPROVED_CLASSES", ExampleJob),
    ("APP", b"shop"),
    ("PROCESSES", 0),
    ("PROCESSES", 1025),
    ("PROCESSES", "4"),
    ("PROCESSES", True),
    ("PROCESSES", 2.0),
    ("JOBS_PER_PROCESS", 0),
    ("START_METHOD", "forkserver"),
    ("IDLE_TIMEOUT", -1),
    ("IDLE_TIMEOUT", float("nan")),
    ("IDLE_TIMEOUT", float("inf")),
    ("IDLE_TIMEOUT", 10**400),
    ("IDLE_TIMEOUT", "300"),
    ("READY_WITHIN", 0),
    ("AUTOSTART", 1),
    ("AUTOSTART", "false"),
    ("TIMEOUT", 0),
    ("TIMEOUT", True),
    ("KILL_GRACE", -0.1),
    ("LEASE", 0.5),
    ("MAX_PENDING", 0),
    ("MAX_PENDING", -1),
    ("STATE_DIR", ""),
    ("LOG_DIR", 7),
    ("OUTPUT_MAX", 1023),
    ("RETENTION_COMPLETED", -1),
    ("RETENTION_FAILED", "a week"),
    ("DASHBOARD_URL", "dashboard"),
    ("DASHBOARD_URL", "/dash board"),
    ("DASHBOARD_URL", "/dashboard\n"),
    ("DASHBOARD_URL", "/<int:id>"),
    ("DASHBOARD_ACCESS", "Open"),
    ("DASHBOARD_ACCESS", True),
    ("REDACT", "("),
    ("REDACT", ""),
]


class AnotherRunner(CustomBackgroundJobRunner):
    MAX_RETRIES = 5


def test_without_any_key_every_setting_has_its_documented_default():
    settings = Settings.from_config({"DEBUG": True})
    assert {key: getattr(settings, key.lower()) for key in DEFAULTS} == DEFAULTS


def test_every_documented_key_and_no_other_is_a_setting():
    assert {name.upper() for name in Settings.__slots__} == {*DEFAULTS, "REDACT"}


@pytest.mark.parametrize(("key", "given", "kept"), TAKEN)
def test_a_good_value_is_taken(key, given, kept):
    assert getattr(Settings.from_config({f"BGJOBS_{key}": given}), key.lower()) == kept


@pytest.mark.parametrize(("key", "given"), REFUSED)
def test_a_value_that_cannot_work_is_refused_and_named(key, given):
    with pytest.raises(ConfigurationError, match=f"BGJOBS_{key}") as refused:
        Settings.from_config({f"BGJOBS_{key}": given})
    assert refused.value.setting == f"BGJOBS_{key}"


@pytest.mark.parametrize("key", [*DEFAULTS, "REDACT"])
def test_none_means_not_set(key):
    assert Settings.from_config({f"BGJOBS_{key}": None}) == Settings.from_config({})


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("BGJOBS_PROCESS", "BGJOBS_PROCESSES"),
        ("BGJOBS_LOGDIR", "BGJOBS_LOG_DIR"),
        ("BGJOBS_DATABASE_URL", "BGJOBS_DATABASE_URI"),
        ("BGJOBS_MAXPENDING", "BGJOBS_MAX_PENDING"),
        ("BGJOBS_APROVED_CLASSES", "BGJOBS_APPROVED_CLASSES"),
    ],
)
@pytest.mark.parametrize("value", ["x", None])
def test_an_unknown_key_names_the_nearest_one(wrong, meant, value):
    with pytest.raises(ConfigurationError, match=f"{wrong} is not a setting.*Did you mean {meant}\\?") as refused:
        Settings.from_config({wrong: value})
    assert refused.value.setting == wrong


def test_an_unknown_key_that_is_like_nothing_lists_all_settings():
    with pytest.raises(ConfigurationError, match="BGJOBS_APP, BGJOBS_APPROVED_CLASSES"):
        Settings.from_config({"BGJOBS_ZZZZZZZZZZZZZZZZ": 1})


def test_a_key_without_the_prefix_is_none_of_our_business():
    assert Settings.from_config({"BGJOB_PROCESSES": 1, "PROCESSES": "x", "bgjobs_x": 1}).jobs_per_process == 1


def test_the_password_of_a_refused_database_uri_is_not_shown():
    for uri in ("postgres//u:hunter2@host", "://u:hunter2@host", "nonsense hunter2"):
        with pytest.raises(ConfigurationError) as refused:
            Settings.from_config({"BGJOBS_DATABASE_URI": uri})
        assert "hunter2" not in str(refused.value)


def test_the_app_may_be_named_by_the_environment_and_the_config_goes_before_it(monkeypatch):
    monkeypatch.setenv("BGJOBS_APP", "from_environment:app")
    assert Settings.from_config({}).app == "from_environment:app"
    assert Settings.from_config({"BGJOBS_APP": "from_config:app"}).app == "from_config:app"


def test_the_settings_are_frozen():
    with pytest.raises(AttributeError):
        Settings.from_config({}).processes = 5


def test_folders_default_to_the_instance_folder_and_relative_ones_count_from_it():
    assert Settings.from_config({}).with_folders_below("/srv/i").log_dir == "/srv/i/logs"
    assert Settings.from_config({}).with_folders_below("/srv/i").state_dir == "/srv/i/bgjobs"
    given = Settings.from_config({"BGJOBS_LOG_DIR": "l", "BGJOBS_STATE_DIR": "/run/s"}).with_folders_below(
        "/srv/i"
    )
    assert (given.log_dir, given.state_dir) == ("/srv/i/l", "/run/s")


def test_a_wrong_setting_is_told_when_the_extension_is_set_up_and_leaves_the_app_as_it_was():
    app = Flask("a_site")
    app.config["BGJOBS_PROCESES"] = 3
    with pytest.raises(ConfigurationError, match="Did you mean BGJOBS_PROCESSES"):
        BackgroundJobs(app)
    assert "bgjobs" not in app.extensions
    assert "bgjobs" not in app.blueprints


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"BGJOBS_DATABASE_URI": "sqlite:///jobs.db"}, "Set BGJOBS_DATABASE_URI to a PostgreSQL"),
        ({"BGJOBS_DATABASE_URI": "postgresql+psycopg://nobody@127.0.0.1:1/x"}, "Set BGJOBS_BROKER_URL"),
    ],
)
def test_what_celery_cannot_work_with_is_refused_before_anything_is_written(settings, said):
    app = Flask("a_site")
    app.config.update(BGJOBS_BACKEND="celery", **settings)
    BackgroundJobs(app).approve(ExampleJob)
    with app.app_context(), pytest.raises(ConfigurationError, match=said):
        run_background_job(ExampleJob, "run")


def test_the_extension_is_set_up_once():
    app = Flask("a_site")
    BackgroundJobs(app)
    with pytest.raises(ConfigurationError, match="already"):
        BackgroundJobs(app)


@pytest.mark.parametrize("runner", ["no.such.module.Runner", "bgjobs.NoSuchRunner", "Runner", "bgjobs.ExampleJob"])
def test_a_runner_that_is_none_is_told_at_the_first_dispatch_and_nothing_is_written(make_site, runner):
    site = make_site(ExampleJob, runner=runner, fresh=True)
    with pytest.raises(ConfigurationError) as refused:
        site.dispatch(ExampleJob, "run")
    assert refused.value.setting == "BGJOBS_RUNNER"
    assert site.state.store.database.schema_revision() is None


def test_the_runner_of_the_settings_goes_before_that_of_the_code(make_site):
    site = make_site(runner="bgjobs.CustomBackgroundJobRunner", runner_class=AnotherRunner)
    assert site.state.runner_class is CustomBackgroundJobRunner
    assert make_site(runner_class=AnotherRunner).state.runner_class is AnotherRunner


def test_without_any_database_the_first_dispatch_says_what_to_set():
    app = Flask("a_site")
    BackgroundJobs(app)
    with pytest.raises(ConfigurationError, match="BGJOBS_DATABASE_URI"):
        app.extensions["bgjobs"].database_url
