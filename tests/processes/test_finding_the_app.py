"""The nine ways to start a Flask application: a job that is dispatched there finds its way back to it."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from apps_on_servers import HIDDEN, PKG, SCRIPT, WITH_APP, Served, Until, served

FLASK = ["-m", "flask"]
RUN = ["run", "--port", "{port}"]
BIND = ["--bind", "127.0.0.1:{port}"]
GRANIAN = ["-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}"]

# files, the command after "python", environment
WAYS: dict[str, tuple[dict[str, str], list[str], dict[str, str]]] = {
    "flask --app pkg run": ({"pkg.py": PKG}, [*FLASK, "--app", "pkg", *RUN], {}),
    'flask --app "pkg:create_app(None)" run --debug': (
        {"pkg.py": PKG},
        [*FLASK, "--app", "pkg:create_app(None)", *RUN, "--debug"],
        {},
    ),
    "FLASK_APP=pkg flask run": ({"pkg.py": PKG}, [*FLASK, *RUN], {"FLASK_APP": "pkg"}),
    "flask run with wsgi.py": (
        {"pkg.py": PKG, "wsgi.py": "import pkg\napp = pkg.create_app()\n"},
        [*FLASK, *RUN],
        {},
    ),
    "flask run with app.py": ({"app.py": WITH_APP}, [*FLASK, *RUN], {}),
    "python app.py": ({"app.py": SCRIPT}, ["app.py", "{port}"], {}),
    "gunicorn wsgi:app": (
        {"pkg.py": PKG, "wsgi.py": "import pkg\napp = pkg.create_app()\n"},
        ["-m", "gunicorn", *BIND, "wsgi:app"],
        {},
    ),
    'gunicorn --preload "pkg:create_app()"': (
        {"pkg.py": PKG},
        ["-m", "gunicorn", *BIND, "--preload", "--workers", "2", "pkg:create_app()"],
        {},
    ),
    "waitress --call": (
        {"pkg.py": PKG},
        ["-m", "waitress", "--listen", "127.0.0.1:{port}", "--call", "pkg:create_app"],
        {},
    ),
    "granian --factory": ({"pkg.py": PKG}, [*GRANIAN, "--factory", "pkg:create_app"], {}),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[dict[str, Served]]:
    """All of them at once: starting takes each of them a second, and they wait for one another no longer."""
    with ExitStack() as stack:
        yield {
            way: stack.enter_context(served(tmp_path_factory.mktemp("served"), *start, empty_database))
            for way, start in WAYS.items()
        }


@pytest.mark.parametrize("way", WAYS)
def test_a_job_runs_in_a_process_of_its_own(servers: dict[str, Served], way: str, until: Until) -> None:
    server = servers[way]
    dispatched = server.dispatch(until)
    workers = {process.pid for process in server.family()}
    until(lambda: server.job()["status"] not in ("pending", "running"), 60)
    job = server.job()
    result = json.loads(job["result"])
    assert (job["status"], job["error_message"], result["title"], result["role"]) == (
        "completed",
        None,
        "sales",
        "job",
    )
    assert result["pid"] == job["pid"] != dispatched["pid"]
    assert dispatched["pid"] in workers
    server.stop_server()
    server.stop_supervisor(until)
    until(lambda: not server.family(), 30)


# A factory that needs what it is given is no way back; one that needs nothing may make another application.
WITHOUT_A_WAY = {"pkg.py": PKG.replace("config=None", "config"), "serve.py": HIDDEN.format(config="{}")}
OTHER_DATABASE = HIDDEN.format(config={"SQLALCHEMY_DATABASE_URI": "sqlite:///other.db"})
OTHER_NAME = HIDDEN.format(config={"NAME": "shop"})


def refusal_of(server: Served, until: Until) -> tuple[str, str]:
    """Why the job waits, as the dashboard says it and as the doctor does."""
    server.dispatch(until)
    until(lambda: server.status().get("app_error"), 30)
    page = html.unescape(server.get("/dashboard"))
    assert "Jobs wait, because the application could not be loaded" in page
    checks = {check["check"]: check for check in server.post("/doctor")}
    assert not checks["application"]["ok"]
    assert not checks["supervisor"]["ok"]
    return page, checks["application"]["detail"]


def test_an_application_that_cannot_be_found(tmp_path: Path, empty_database: Path, until: Until) -> None:
    """The job waits, with no attempt spent, until somebody does what the message says."""
    with served(tmp_path, WITHOUT_A_WAY, ["serve.py", "{port}"], {}, empty_database) as server:
        for text in refusal_of(server, until):
            assert 'Set BGJOBS_APP to what you would give to flask --app, for example "wsgi:app".' in text
        assert (server.job()["status"], server.job()["attempt"], server.job()["retry_count"]) == ("pending", 0, 0)
        server.stop_server()
    said = {"BGJOBS_APP": "pkg:create_app({})"}
    with served(tmp_path, WITHOUT_A_WAY, ["serve.py", "{port}"], said, empty_database) as server:
        first = 1
        server.dispatch(until)
        for server.dispatched["job"] in (first, 2):
            until(lambda: server.job()["status"] == "completed", 30)
        assert server.job()["attempt"] == 1
        server.stop_server()
        server.stop_supervisor(until)
        until(lambda: not server.family(), 30)


@pytest.mark.parametrize(
    ("serve", "found", "expected"),
    [
        (OTHER_DATABASE, "'pkg' with the database sqlite:///{}/app.db", "'pkg' with sqlite:///{}/other.db"),
        (OTHER_NAME, "'pkg' with the database sqlite:///{}/app.db", "'shop' with sqlite:///{}/app.db"),
    ],
    ids=["database", "name"],
)
def test_another_application_is_not_taken_for_ours(
    tmp_path: Path, empty_database: Path, until: Until, serve: str, found: str, expected: str
) -> None:
    shutil.copy(empty_database, tmp_path / "other.db")
    files = {"pkg.py": PKG, "serve.py": serve}
    with served(tmp_path, files, ["serve.py", "{port}"], {}, empty_database) as server:
        sentence = f"it leads to the application {found}, but the jobs were dispatched by {expected}".format(
            tmp_path, tmp_path
        )
        for text in refusal_of(server, until):
            assert sentence in text
            assert "Set BGJOBS_APP to what you would give to flask --app. Tried pkg:create_app: " in text
        server.stop_server()
        server.stop_supervisor(until)
        until(lambda: not server.family(), 30)


def test_a_supervisor_that_is_stopped_early_does_not_come_back(
    tmp_path: Path, empty_database: Path, until: Until
) -> None:
    """Its processes that are not ready yet must not take their farewell for its death."""
    slow = (
        PKG
        + f"""
@jobs.after_fork
def take_your_time():
    open({str(tmp_path / "begun")!r}, "a").close()
    while not os.path.exists({str(tmp_path / "go")!r}):
        time.sleep(0.01)
"""
    )
    with served(tmp_path, {"pkg.py": slow}, [*FLASK, "--app", "pkg", *RUN], {}, empty_database) as server:
        server.dispatch(until)
        until((tmp_path / "begun").exists, 30)
        server.stop_server()
        server.stop_supervisor(until)
        (tmp_path / "go").touch()
        until(lambda: not server.family(), 30)
        assert server.job()["status"] == "pending"
