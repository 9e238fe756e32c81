"""Where another process can find the application: the ways of starting one, and what is never a candidate."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask

from bgjobs import BackgroundJobs
from bgjobs.app_location import AppLocation
from bgjobs.app_search import location_at_set_up, seen_running
from bgjobs.app_state import app_state

SHOP = """
from flask import Flask
from bgjobs import BackgroundJobs
from bgjobs.app_search import seen_running
from bgjobs.app_state import app_state

def create_app(config=None):
    app = Flask(__name__)
    BackgroundJobs(app)
    @app.cli.command("show")
    def show_command():
        show(app)
    return app

def show(app):
    import json
    print(json.dumps(seen_running(app_state(app).location, app).candidates))
"""
WITH_APP = SHOP + "\napp = create_app()\n"
SHOWN_AT_ONCE = WITH_APP + "\nif __name__ == '__main__':\n    show(app)\n"

# files, the command, environment | candidates, the surest first; {} is the folder
STARTS = {
    "flask --app pkg run": (
        {"pkg.py": SHOP},
        ["-m", "flask", "--app", "pkg", "show"],
        {},
        ["pkg", "pkg:create_app"],
    ),
    "typed into an interpreter": (
        {"pkg.py": WITH_APP},
        ["-c", "from pkg import app, show; show(app)"],
        {},
        ["pkg:app", "pkg:create_app"],
    ),
    'flask --app "pkg:create_app(None)" run': (
        {"pkg.py": SHOP},
        ["-m", "flask", "--app", "pkg:create_app(None)", "show"],
        {},
        ["pkg:create_app(None)", "pkg:create_app"],
    ),
    "FLASK_APP=pkg flask run": (
        {"pkg.py": SHOP},
        ["-m", "flask", "show"],
        {"FLASK_APP": "pkg"},
        ["pkg", "pkg:create_app"],
    ),
    "flask run with wsgi.py": (
        {"wsgi.py": "from shop import app\n", "shop.py": WITH_APP},
        ["-m", "flask", "show"],
        {},
        ["shop:app", "wsgi:app", "shop:create_app"],
    ),
    "flask run with app.py": (
        {"app.py": WITH_APP},
        ["-m", "flask", "show"],
        {},
        ["app:app", "app:create_app"],
    ),
    "python app.py": (
        {"app.py": SHOWN_AT_ONCE},
        ["app.py"],
        {},
        ["{}/app.py:app", "{}/app.py:create_app"],
    ),
    "python app.py that makes another module's app": (
        {"app.py": "from shop import create_app, show\napp = create_app()\nshow(app)\n", "shop.py": SHOP},
        ["app.py"],
        {},
        ["shop:create_app", "{}/app.py:app"],
    ),
    "python -m pkg.app": (
        {"pkg/__init__.py": "", "pkg/app.py": SHOWN_AT_ONCE},
        ["-m", "pkg.app"],
        {},
        ["pkg.app:app", "pkg.app:create_app"],
    ),
    "python -m pkg": (
        {"pkg/__init__.py": "", "pkg/__main__.py": SHOWN_AT_ONCE},
        ["-m", "pkg"],
        {},
        ["pkg.__main__:app", "pkg.__main__:create_app"],
    ),
    "gunicorn wsgi:app": (
        {"wsgi.py": "from shop import create_app\napplication = create_app()\n", "shop.py": SHOP},
        ["-c", "import wsgi, shop; shop.show(wsgi.application)"],
        {},
        ["wsgi:application", "shop:create_app"],
    ),
    "gunicorn pkg:create_app()": (
        {"pkg.py": SHOP},
        ["-c", "import importlib; m = importlib.import_module('pkg'); (lambda: m.show(m.create_app()))()"],
        {},
        ["pkg:create_app"],
    ),
    "BGJOBS_APP": (
        {"pkg.py": SHOP},
        ["-m", "flask", "--app", "pkg", "show"],
        {"BGJOBS_APP": "pkg:create_app('prod')"},
        ["pkg:create_app('prod')", "pkg:create_app"],
    ),
}


# One interpreter imports what all of them need, and each start is a fork of it that becomes what
# ``python COMMAND`` would be.
HARNESS = """
import json, os, runpy, sys, traceback
import flask.cli, bgjobs
for folder, command, environment in json.loads(sys.stdin.read()):
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update(environment)
        output = os.open("output", os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        try:
            if command[0] == "-m":
                sys.argv, sys.path[0] = command[1:], folder
                runpy.run_module(command[1], run_name="__main__", alter_sys=True)
            elif command[0] == "-c":
                sys.path[0] = folder
                exec(command[1], sys.modules["__main__"].__dict__)
            else:
                sys.argv, sys.path[0] = command, folder
                runpy.run_path(command[0], run_name="__main__")
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The folder of each way to start, and what was printed there."""
    starts = {}
    for way, (files, command, environment, _) in STARTS.items():
        folder = tmp_path_factory.mktemp("start")
        for name, text in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        starts[way] = str(folder), command, environment
    inherited = {name: value for name, value in os.environ.items() if name not in ("FLASK_APP", "BGJOBS_APP")}
    order = json.dumps(list(starts.values()))
    subprocess.run([sys.executable, "-c", HARNESS], input=order, text=True, env=inherited, check=True)
    return {way: (folder, Path(folder, "output").read_text()) for way, (folder, _, _) in starts.items()}


@pytest.mark.parametrize("way", STARTS)
def test_the_candidates_of_each_way_to_start_an_application(shown, way):
    folder, output = shown[way]
    assert json.loads(output.splitlines()[0]) == [candidate.format(folder) for candidate in STARTS[way][3]]


@pytest.fixture
def module(monkeypatch):
    """A module of the user, in which a test can define functions."""

    def make(source, name="module_of_a_user"):
        made = ModuleType(name)
        made.__dict__.update(Flask=Flask, BackgroundJobs=BackgroundJobs)
        monkeypatch.setitem(sys.modules, name, made)
        exec(compile(textwrap.dedent(source), name, "exec"), made.__dict__)
        return made

    return make


def factories(app):
    return [name for name in app_state(app).location.factories if name.startswith("module_of_a_user")]


MAKE = "    app = Flask('x')\n    BackgroundJobs(app)\n    return app\n"

SIGNATURES = [
    ("def create_app():\n", "create_app()", ["module_of_a_user:create_app"]),
    ("def create_app(config=None, *, debug=False):\n", "create_app()", ["module_of_a_user:create_app"]),
    ("def create_app(*args, **kwargs):\n", "create_app()", ["module_of_a_user:create_app"]),
    ("def create_app(config):\n", "create_app(1)", []),
    ("def create_app(*, config):\n", "create_app(config=1)", []),
    ("def make_application():\n", "make_application()", ["module_of_a_user:make_application"]),
    *[
        (f"def {name}():\n", f"{name}()", [])
        for name in ("main", "run_server", "serve", "start", "cli", "test_the_shop", "runserver")
    ],
]


@pytest.mark.parametrize(("head", "call", "expected"), SIGNATURES)
def test_a_factory_is_a_function_that_needs_nothing_and_does_nothing_more(module, head, call, expected):
    made = module(head + MAKE)
    assert factories(eval(call, made.__dict__)) == expected


def test_the_factory_around_a_function_that_needs_arguments_is_found(module):
    made = module("def build(config):\n" + MAKE + "def create_app():\n    return build(1)\n")
    assert factories(made.create_app()) == ["module_of_a_user:create_app"]


def test_the_nearest_factory_is_taken(module):
    made = module("def create_app():\n" + MAKE + "def make_all():\n    return create_app()\n")
    assert factories(made.make_all()) == ["module_of_a_user:create_app"]


def test_a_decorated_factory_is_found_and_a_function_in_a_function_is_not(module):
    made = module(
        "import functools\n"
        "def twice(f):\n    @functools.wraps(f)\n    def wrapper():\n        return f()\n    return wrapper\n"
        "@twice\ndef create_app():\n" + MAKE
    )
    assert factories(made.create_app()) == ["module_of_a_user:create_app"]
    made = module(
        "def outer(x):\n    def create_app():\n        app = Flask('x')\n        BackgroundJobs(app)\n"
        "        return app\n    return create_app()\n"
    )
    assert factories(made.outer(1)) == []


def test_every_module_that_holds_the_app_is_a_candidate_and_ours_are_not(module):
    app = Flask("x")
    BackgroundJobs(app)
    module("", "module_of_a_user").site = app
    module("", "flask.something").app = app
    module("", "gunicorn.app.wsgiapp").app = app
    module("", "bgjobs.somewhere").app = app
    seen = seen_running(app_state(app).location, app)
    assert "module_of_a_user:site" in seen.variables
    assert not [name for name in seen.variables if name.startswith(("flask", "gunicorn", "bgjobs"))]


def test_an_application_that_nobody_holds_has_no_variable():
    app = Flask("x")
    BackgroundJobs(app)
    assert seen_running(app_state(app).location, app).variables == ()


def test_the_setting_is_the_only_thing_declared(monkeypatch):
    monkeypatch.setenv("FLASK_APP", "from_environment")
    assert location_at_set_up("configured:app").declared == ("configured:app",)
    assert location_at_set_up(None).declared == ("from_environment",)


def test_the_script_that_was_started_comes_last_because_loading_it_runs_it_again():
    location = AppLocation(
        ("said",), ("/srv/app.py:app", "shop:app"), ("/srv/app.py:make", "shop:make"), "/srv", ()
    )
    assert location.candidates == ("said", "shop:app", "shop:make", "/srv/app.py:app", "/srv/app.py:make")


def test_no_candidate_is_there_twice():
    assert AppLocation(("a:app",), ("a:app", "b:app"), ("b:app",), "/", ()).candidates == ("a:app", "b:app")


def test_a_location_crosses_to_another_process_as_json():
    location = AppLocation(("a",), ("b:c",), ("d:e",), "/srv", ("/srv", "/lib"))
    assert AppLocation.from_json(json.loads(json.dumps(location.to_json()))) == location


def test_folder_and_import_path_are_those_of_the_process_that_set_up(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("/somewhere/else")
    location = location_at_set_up(None)
    assert (location.directory, location.import_path[0]) == (str(tmp_path), "/somewhere/else")
