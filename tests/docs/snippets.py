"""The code in the manual: taken out of a page and run, in a folder of its own, with real processes.

A page is one small application. Its blocks marked ``python app.py`` are put together to ``app.py``; then its
other Python blocks and its commands are run one after the other, in the order of the page. What stands below
a command in a block must be what it prints, times and numbers of processes aside; ``...`` stands for anything.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
PAGES = sorted([*HOUSE.glob("*.md"), *(HOUSE / "docs").glob("*.md")])

_BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_START = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from bgjobs import BackgroundJobs, ExampleJob, current_job, run_background_job

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
db = SQLAlchemy(app)
jobs = BackgroundJobs(app, db)
"""
_RUN = """
import sys
import app as application
app = application.app if hasattr(application, "app") else application.create_app()
with app.app_context():
    exec(compile(sys.stdin.read(), "snippet", "exec"), dict(vars(application)))
"""
# What is another thing each time, so that a page can show a real value.
_CHANGES = re.compile(
    r"\d{4}-\d\d-\d\d[ T][\d:.]+(?:Z|\+00:00)?|\b(?:now|(?:an?|\d+) \w+ ago)\b|(?<=pid )\d+|(?<=Supervisor )\d+"
)
# What cannot be done in the test as it is on the page, and what is done instead.
_INSTEAD = {
    "make run": f"make -n -C '{HOUSE}' run",
    "make test": f"make -n -C '{HOUSE}' test",
    "pip install .": f"'{sys.executable}' -m pip install --quiet --no-deps --no-build-isolation "
    f"--disable-pip-version-check --no-cache-dir --target site '{HOUSE}'",
}


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    info: str
    text: str
    line: int


@dataclass(frozen=True)
class Command:
    """One command of a console block and what it prints; None where the page does not show it."""

    text: str
    printed: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(found["info"].strip(), found["text"], text.count("\n", 0, found.start()) + 1)
        for found in _BLOCK.finditer(text)
    ]


def is_run(page: Path) -> bool:
    return any(block.info.startswith("python") or block.info == "console" for block in blocks(page))


def run_page(page: Path, folder: Path) -> None:
    """Run every snippet of ``page`` in ``folder``."""
    found = blocks(page)
    parts = [block.text for block in found if block.info == "python app.py"]
    own = any("BackgroundJobs(app, db" in part or "def create_app" in part for part in parts)
    (folder / "app.py").write_text("\n\n".join(parts if own else [_START, *parts]))
    try:
        for block in found:
            if block.info == "python":
                finished = _run([sys.executable, "-c", _RUN], folder, block.text)
                assert finished.returncode == 0, f"{page.name}:{block.line}\n{finished.stdout}"
            elif block.info == "console":
                for command in commands(block.text):
                    _check(command, folder, f"{page.name}:{block.line}")
    finally:
        _run([sys.executable, "-m", "flask", "bgjobs", "stop"], folder)


def commands(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, printed = part.partition("\n")
        yield Command(line.partition("   #")[0].strip(), printed.strip() or None)


def _check(command: Command, folder: Path, place: str) -> None:
    finished = _run(["/bin/sh", "-c", _INSTEAD.get(re.sub(r"\s+#.*", "", command.text), command.text)], folder)
    told = f"{place}: {command.text}\n{finished.stdout}"
    if command.printed is None:
        assert finished.returncode == 0, told
        return
    wanted = _CHANGES.sub("...", command.printed)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    matches = doctest.OutputChecker().check_output(wanted, finished.stdout.strip(), options)
    assert matches, f"{told}\nThe page has:\n{command.printed}"


def _run(command: list[str], folder: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("FLASK_", "BGJOBS_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONWARNINGS"] = "ignore"
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
