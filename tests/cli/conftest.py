"""The commands of an application, called in this process (``run``) and as processes (``shell``)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_lines import CommandLine, Shell

from bgjobs.supervisor import control


@pytest.fixture
def folder(tmp_path: Path, empty_database: Path) -> Path:
    shutil.copy(empty_database, tmp_path / "app.db")
    return tmp_path


@pytest.fixture
def make_run(folder: Path) -> Iterator[Callable[..., CommandLine]]:
    made: list[CommandLine] = []

    def make(**settings: Any) -> CommandLine:
        made.append(CommandLine(folder, **settings))
        return made[-1]

    yield make
    for command_line in made:
        command_line.close()


@pytest.fixture
def run(make_run: Callable[..., CommandLine]) -> CommandLine:
    """Jobs run inline."""
    return make_run(backend="inline")


@pytest.fixture
def waiting(make_run: Callable[..., CommandLine]) -> CommandLine:
    """Jobs stay pending, because nothing is started."""
    return make_run(autostart=False)


@pytest.fixture
def shell(folder: Path, until: Callable[..., Any]) -> Iterator[Shell]:
    """At the end nothing is left of it."""
    shell = Shell(folder)
    yield shell
    command_line = CommandLine(folder)
    control.stop(command_line.state)
    command_line.close()
    shell.end()
    until(lambda: not shell.family(), 30)
