"""The page of the health: what the doctor says, and facts without secrets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pages import parsed
from sites import PARTIAL, Site

from bgjobs import ExampleJob
from bgjobs.dashboard.health import views
from bgjobs.dashboard.health.facts import shown_setting
from bgjobs.supervisor import doctor
from bgjobs.supervisor.doctor import examine

PAGE = "/dashboard/health"


def section(site: Site, title: str) -> str:
    found = [it for it in parsed(site.get(PAGE).text).all("section") if it.attributes["aria-labelledby"] == title]
    return found[0].words


def token(client: Any) -> str:
    client.get(PAGE)
    return str(client.get_cookie("bgjobs_csrf", path="/dashboard").value)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the application was loaded by the doctor, which does not really do it here."""
    done: list[int] = []

    def load(state: Any) -> tuple[bool, str, str]:
        done.append(1)
        return False, "it threw https://ada:hush-hush@host \x1b[31m<u>", "Correct the error."

    monkeypatch.setattr(doctor, "_application", load)
    monkeypatch.setitem(doctor._CHECKS, "application", load)
    return done


def test_the_quick_checks_are_those_of_the_doctor_but_one(site: Site, loads: list[int]) -> None:
    with site.app.app_context():
        quick, every = ([it.check for it in examine(site.state, quick=flag)] for flag in (True, False))
    assert [name for name in every if name not in quick] == ["application"]
    loads.clear()
    words = section(site, "checks-title")
    for name in quick:
        assert f"{name[0].upper()}{name[1:]}" in words
    assert "All 7 checks are well" in words
    assert loads == []


def test_all_checks_on_a_button(site: Site, loads: list[int]) -> None:
    client = site.client()
    page = client.post(PAGE, data={"csrf_token": token(client)})
    assert page.status_code == 200
    words = parsed(page.text).one("main").words
    assert "1 of 8 checks found a fault" in words
    assert "Correct the error." in words
    assert loads == [1]
    for bad in ("hush-hush", "\x1b", "<u>"):
        assert bad not in page.text


def test_all_checks_take_every_right_and_a_form_of_ours(make_site: Callable[..., Site], loads: list[int]) -> None:
    answers: list[Any] = ["all"]
    site = make_site(BGJOBS_DASHBOARD_ACCESS=lambda request: answers[0])
    client = site.client()
    right = token(client)
    assert client.post(PAGE).status_code == 403
    for answer in ("read", {"queues"}, {"retry", "edit", "cancel", "kill", "pause", "delete"}):
        answers[0] = answer
        assert not parsed(client.get(PAGE).text).one("main").all("form")
        assert client.post(PAGE, data={"csrf_token": right}).status_code == 403
    assert loads == []


def test_all_checks_one_at_a_time(site: Site, loads: list[int]) -> None:
    client = site.client()
    right = token(client)
    with views._one_at_a_time:
        assert client.post(PAGE, data={"csrf_token": right}).status_code == 409
    assert client.post(PAGE, data={"csrf_token": right}).status_code == 200
    assert loads == [1]


def test_the_facts(site: Site) -> None:
    site.dispatch()
    assert "KindSQLite 3." in section(site, "database-title")
    assert "revision 0001, the newest" in section(site, "database-title")
    assert "Write-ahead log" in section(site, "database-title")
    assert "all times are stored in UTC" in section(site, "clock-title")
    assert "sqlalchemy" in section(site, "versions-title")
    words = section(site, "approved-title")
    assert "Well bgjobs.example_job.ExampleJobcrash, fail, flaky, run, slow" in words
    files = section(site, "files-title")
    assert "background_jobs.log" in files
    assert "Fault" not in files


def test_a_class_that_cannot_be_imported(make_site: Callable[..., Site]) -> None:
    site = make_site(BGJOBS_APPROVED_CLASSES=["nowhere.at.All", "json.dumps", ExampleJob])
    words = section(site, "approved-title")
    assert "Fault nowhere.at.AllThe approved class nowhere.at.All cannot be imported" in words
    assert "Well bgjobs.example_job.ExampleJob" in words
    assert "json.dumps" in words
    assert "Fault Approved classes" in section(site, "checks-title")


def test_a_log_that_cannot_be_written(site: Site) -> None:
    folder = Path(str(site.state.settings.log_dir))
    folder.mkdir(parents=True)
    (folder / "background_jobs.log").mkdir()
    (folder / "background_jobs_errors.log").symlink_to("/dev/null")
    files = section(site, "files-title")
    assert "it is no file" in files
    assert "it is a link" in files
    assert "Fault Log files" in section(site, "checks-title")


def test_no_secret_in_any_form(make_site: Callable[..., Site], tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/other.db?password=hush-hush&check_same_thread=false"

    class Access:
        def __call__(self, request: Any) -> str:
            return "all"

        def __repr__(self) -> str:
            return "hush-hush"

    site = make_site(
        SECRET_KEY="hush-hush",
        BGJOBS_DASHBOARD_ACCESS=Access(),
        BGJOBS_STATE_DIR=str(tmp_path / "state"),
    )
    site.get(PAGE)
    state = site.state
    state.settings = replace(state.settings, database_uri=address)
    state.database_url = state.database_url.set(query={"password": "hush-hush"})
    for path in (PAGE, f"{PAGE}.txt"):
        text = site.get(path).text
        assert "other.db" in text
        assert "hush-hush" not in text


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("database_uri", "postgresql://ada:hush@db/shop?sslpassword=hush", "postgresql://db/shop"),
        ("database_uri", "no address", "set"),
        ("database_uri", None, "not set"),
        ("runner", ExampleJob, "bgjobs.example_job.ExampleJob"),
        ("approved_classes", [ExampleJob, "a.B"], "bgjobs.example_job.ExampleJob, a.B"),
        ("approved_classes", {"a.B": ["run"]}, "a.B: ['run']"),
        ("approved_classes", (), "none"),
        ("dashboard_access", "open", "open"),
        ("autostart", False, "False"),
        ("app", "https://token@host/x", "https://••••••@host/x"),
        ("app", "a\nb\x1b", "a\\x0ab\\x1b"),
    ],
)
def test_a_setting_as_it_may_be_shown(name: str, value: Any, shown: str) -> None:
    assert shown_setting(name, value) == shown


def test_a_function_is_shown_by_its_name() -> None:
    assert shown_setting("dashboard_access", section).endswith("test_health_page.section")


def test_the_text_is_the_page(site: Site) -> None:
    response = site.get(f"{PAGE}.txt")
    assert (response.status_code, response.mimetype) == (200, "text/plain")
    for title in ("Checks", "Database", "Clock", "Versions", "Approved classes", "Log files", "Settings"):
        assert f"## {title}" in response.text
    assert "BGJOBS_REDACT = " in response.text
    area = parsed(site.get(PAGE).text).one("textarea")
    assert "readonly" in area.attributes
    assert "## Settings" in area.text


def test_settings_that_were_given_come_first(site: Site) -> None:
    lists = [it for it in parsed(site.get(PAGE).text).all("dl") if "settings" in str(it.attributes["class"])]
    assert "BGJOBS_AUTOSTARTFalse" in lists[0].words
    assert "BGJOBS_PROCESSES" in lists[1].words


def test_a_locked_database_is_said_and_hangs_nobody(site: Site, until: Callable[..., Any]) -> None:
    database = site.state.store.database
    database.patience = 0.1
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with database.writing():
            held.set()
            free.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(10)
        assert "Fault Database" in section(site, "checks-title")
    finally:
        free.set()
        thread.join()


def test_everything_is_a_page_for_htmx_too(site: Site) -> None:
    assert "<html" in site.get(PAGE, headers=PARTIAL).text  # nothing of it is swapped
