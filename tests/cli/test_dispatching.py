"""``flask run-job``: what it takes, what it says, and how it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from cli_site import WORK
from command_lines import CommandLine

from bgjobs import lookups


def row(run: CommandLine, job_id: int = 1) -> Any:
    with run.state.store.database.reading() as connection:
        return lookups.job_row(connection, job_id)


def test_it_says_the_number_of_the_job(waiting: CommandLine) -> None:
    for number in (1, 2):
        result = waiting("run-job", WORK, "show")
        assert (result.exit_code, result.stdout, result.stderr) == (0, f"Job {number} dispatched\n", "")


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ([], {}),
        (['{"a": {"b": [1, null]}}'], {"a": {"b": [1, None]}}),
        (["-p", "to=ada"], {"to": "ada"}),
        (["-p", "a=1", "-p", "b=[1,2]", "-p", 'c="3"', "-p", "d=", "-p", "e=x=y"], {
            "a": 1, "b": [1, 2], "c": "3", "d": "", "e": "x=y",
        }),
        (['{"a": 1}', "-p", "b=true"], {"a": 1, "b": True}),
        (["-p", "file=@/etc/passwd"], {"file": "@/etc/passwd"}),
        (["-p", "word={"], {"word": "{"}),
    ],
)  # fmt: skip
def test_parameters(waiting: CommandLine, arguments: list[str], parameters: Any) -> None:
    result = waiting("run-job", WORK, "show", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert row(waiting).parameters == parameters


def test_options(waiting: CommandLine) -> None:
    options = ["--retry-count", "2", "--delay", "90.5", "--queue", "mail", "--priority", "-3"]
    assert waiting("run-job", WORK, "show", *options).exit_code == 0
    found = row(waiting)
    assert (found.retry_count, found.queue, found.priority) == (2, "mail", -3)
    assert (found.scheduled_at - found.created_at).total_seconds() == pytest.approx(90.5, abs=1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["os.system", "run"], "os.system is not an approved job class"),
        (["cli_site.work", "show"], "cli_site.work is not an approved job class"),
        ([WORK, "_private"], "cli_site.Work::_private may not run as a job"),
        ([WORK, "__init__"], "cli_site.Work::__init__ may not run as a job"),
        ([WORK, "fail", '{"nobody": 1}'], "parameters: they do not fit"),
        ([WORK, "show", "{"], "parameters: not JSON"),
        ([WORK, "show", ""], "parameters: not JSON"),
        ([WORK, "show", "@/etc/passwd"], "parameters: not JSON"),
        ([WORK, "show", "/etc/passwd"], "parameters: not JSON"),
        ([WORK, "show", "5"], "parameters: "),
        ([WORK, "show", '{"a": NaN}'], "parameters"),
        ([WORK, "show", '{"a": 1, "a": 2}'], "parameters: a key stands twice"),
        ([WORK, "show", "[" * 100_000], "parameters: nested too deeply"),
        ([WORK, "show", "-p", "a"], "-p a: write it as KEY=VALUE"),
        ([WORK, "show", "-p", "=a"], "-p =a: write it as KEY=VALUE"),
        ([WORK, "show", "-p", "a=1", "-p", "a=2"], "-p a: given twice"),
        ([WORK, "show", "[1]", "-p", "a=1"], "-p: give a JSON object"),
        ([WORK, "show", "--retry-count", "4"], "retry_count: must be a whole number"),
        ([WORK, "show", "--retry-count", "-1"], "retry_count: must be a whole number"),
        ([WORK, "show", "--delay", "nan"], "delay: "),
        ([WORK, "show", "--delay", "-1"], "delay: "),
        ([WORK, "show", "--queue", "a b"], "queue: "),
        (["--", "--help", "run"], "--help is not an approved job class"),
        (["--", WORK, "--help"], "cli_site.Work::--help may not run as a job"),
        (["\x1b]52;c;eA==\x07\u202e\r\nJob 1 dispatched", "show"], "\\x1b]52;c;eA==\\x07"),
        ([WORK, "\x1b[2J"], "cli_site.Work::\\x1b[2J may not run as a job"),
        ([WORK, "show", "-p", "\x1b[2J"], "-p \\x1b[2J"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_line_and_exit_status_2(waiting: CommandLine, arguments: list[str], said: str) -> None:
    result = waiting("run-job", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {said}" if "\\x1b]" not in said else "Error: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("\n")
    assert result.stderr[:-1].isprintable()
    assert "root:" not in result.stderr
    assert waiting.json("bgjobs", "list") == []


@pytest.mark.parametrize(
    "arguments",
    [[], [WORK], [WORK, "show", "{}", "{}"], [WORK, "show", "--retry-count", "x"], [WORK, "show", "--what"]],
)
def test_a_command_that_cannot_be_read_is_exit_status_2(waiting: CommandLine, arguments: list[str]) -> None:
    result = waiting("run-job", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr


def test_it_explains_itself(waiting: CommandLine) -> None:
    result = waiting("run-job", "--help")
    assert result.exit_code == 0
    for words in (
        "CLASS METHOD [JSON]",
        "-p KEY=VALUE",
        "--retry-count N",
        "--delay S",
        "--queue Q",
        "--priority N",
    ):
        assert words in result.stdout
    assert "--wait" in result.stdout


@pytest.mark.parametrize(
    ("method", "exit_code", "said"), [("show", 0, "completed"), ("fail", 1, "failed: ValueError")]
)
def test_waiting_for_a_job_that_has_ended(run: CommandLine, method: str, exit_code: int, said: str) -> None:
    run.app.config["BGJOBS_BACKEND"] = "inline"
    result = run("run-job", WORK, method, "--wait", "--retry-count", "3")
    assert (result.exit_code, result.stdout) == (exit_code, "Job 1 dispatched\n")
    assert f"Job 1 {said}" in result.stderr
