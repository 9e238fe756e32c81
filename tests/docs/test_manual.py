"""What the manual lists is what there is: every setting with its default, every command with its options."""

from __future__ import annotations

import ast
import re
from dataclasses import MISSING, fields
from pathlib import Path

import click
import pytest
from snippets import HOUSE, PAGES, blocks, commands

from bgjobs.cli import bgjobs_commands, run_job_command
from bgjobs.processes.identity import HOST_NAME
from bgjobs.settings import PREFIX, Settings

DOCS = HOUSE / "docs"
_ROW = re.compile(r"^\| `(BGJOBS_[A-Z_]+)` \| `(.+?)` \| (.+) \|$", re.MULTILINE)


def test_every_setting_is_listed_with_its_default() -> None:
    listed = _ROW.findall((DOCS / "settings.md").read_text())
    assert [name for name, _, _ in listed] == [PREFIX + field.name.upper() for field in fields(Settings)]
    for (name, default, reason), field in zip(listed, fields(Settings), strict=True):
        assert len(reason) > 10, name
        if field.default is MISSING:
            assert (name, default) == ("BGJOBS_PROCESSES", "max(4, CPUs)")
        else:
            assert ast.literal_eval(default.replace("\\|", "|")) == field.default, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_setting_that_there_is_not(page: Path) -> None:
    known = {PREFIX + field.name.upper() for field in fields(Settings)} | {HOST_NAME}
    assert set(re.findall(r"\bBGJOBS_[A-Z_]+\b", page.read_text())) <= known


def test_every_command_is_listed_with_its_options() -> None:
    text = (DOCS / "command-line.md").read_text()
    for name, command in bgjobs_commands.commands.items():
        assert f"`flask bgjobs {name}" in text, name
        assert _options(command) <= _words(text), name
    assert _options(run_job_command) <= _words(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_command_that_there_is_not(page: Path) -> None:
    named = re.findall(r"flask bgjobs (\w+)", page.read_text())
    assert set(named) <= set(bgjobs_commands.commands)


def test_the_commands_of_the_readme_are_in_the_makefile() -> None:
    targets = re.findall(r"^(\w+):", (HOUSE / "Makefile").read_text(), re.MULTILINE)
    for page in PAGES:
        for block in blocks(page):
            if block.info == "console":
                for command in commands(block.text):
                    if command.text.startswith("make "):
                        assert command.text.split()[1] in targets


def _options(command: click.Command) -> set[str]:
    return {name for item in command.params if isinstance(item, click.Option) for name in item.opts}


def _words(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", text))
