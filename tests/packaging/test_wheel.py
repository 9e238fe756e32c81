"""What is in the wheel, and what it brings along."""

from __future__ import annotations

import subprocess
import zipfile
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest
from installed import HOUSE, clean_environment

# Where the files of the package stand in the clone, and where in the wheel.
SHIPPED = (("bgjobs", "bgjobs"), ("templates/bgjobs", "bgjobs/templates/bgjobs"),
           ("static/bgjobs", "bgjobs/static/bgjobs"), ("migrations", "bgjobs/migrations"))  # fmt: skip
NEVER_SHIPPED = (".pyc", ".db")


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_the_package_and_nothing_else(names: set[str]) -> None:
    expected = {
        str(PurePosixPath(there, path.relative_to(HOUSE / here).as_posix()))
        for here, there in SHIPPED
        for path in (HOUSE / here).rglob("*")
        if path.is_file() and path.suffix not in NEVER_SHIPPED
    }
    assert {name for name in names if ".dist-info/" not in name} == expected


@pytest.mark.parametrize(
    "name",
    [
        "bgjobs/py.typed",
        "bgjobs/templates/bgjobs/layout.html",
        "bgjobs/static/bgjobs/bgjobs.css",
        "bgjobs/static/bgjobs/htmx-4.0.1.min.js",
        "bgjobs/static/bgjobs/htmx-4.0.1.LICENSE.txt",
        "bgjobs/migrations/env.py",
        "bgjobs/migrations/versions/0001_first_tables.py",
    ],
)
def test_what_is_not_code_is_there(names: set[str], name: str) -> None:
    assert name in names


def test_the_licence_is_there(names: set[str]) -> None:
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]


def test_the_metadata_say_what_it_is(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(archive.read(name).decode())
    assert (metadata["Name"], metadata["License-Expression"]) == ("flask-bgjobs", "MIT")
    assert metadata["Requires-Python"] == ">=3.11"
    needed = [item for item in metadata.get_all("Requires-Dist", []) if "extra ==" not in item]
    assert sorted(item.partition(">")[0] for item in needed) == [
        "alembic",
        "flask",
        "flask-htmx",
        "flask-sqlalchemy",
        "humanize",
        "psutil",
        "sqlalchemy",
    ]
    assert all(">=" in item and "<" not in item and "==" not in item for item in needed)


@pytest.mark.parametrize("module", ["bgjobs", "bgjobs.extension", "bgjobs.helper", "bgjobs.cli"])
def test_an_import_brings_nothing_that_is_not_needed(python: Path, tmp_path: Path, module: str) -> None:
    code = f"""
import sys, {module}, bgjobs
print(bgjobs.__file__)
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
    found = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=True
    )
    file, modules = found.stdout.splitlines()
    assert Path(file).is_relative_to(python.parents[1])
    unwanted = {
        "alembic",
        "celery",
        "prometheus_client",
        "opentelemetry",
        "redis",
        "psycopg",
        "pymysql",
        "rich",
        "mako",
    }
    assert not unwanted & set(modules.split())
