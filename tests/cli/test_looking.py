"""``flask bgjobs status | list | show | logs | doctor | upgrade``: for people, and for programs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from cli_site import WORK
from command_lines import CommandLine

from bgjobs import BackgroundJob, JobAttempt, JobLog

JOB_KEYS = [column.key for column in BackgroundJob.__table__.columns]
ATTEMPT_KEYS = [column.key for column in JobAttempt.__table__.columns]
LOG_KEYS = [column.key for column in JobLog.__table__.columns]


@pytest.fixture
def told(run: CommandLine) -> CommandLine:
    """Job 1 was completed, job 2 failed, both with a secret among their parameters."""
    run("run-job", WORK, "show", '{"password": "hunter2!", "to": "ada"}')
    run("run-job", WORK, "fail", "-p", "password=hunter2!", "--retry-count", "3")
    return run


def edit(run: CommandLine, sql: str, *values: Any) -> None:
    """Change a row behind the back of bgjobs."""
    with closing(sqlite3.connect(run.folder / "app.db", isolation_level=None)) as connection:
        connection.execute(sql, values)


def is_utc(text: str) -> bool:
    return datetime.fromisoformat(text).tzinfo == UTC


def test_status_as_json(told: CommandLine) -> None:
    assert told.json("bgjobs", "status") == {
        "supervisor": None,
        "fork_server": None,
        "running": [],
        "counts": {"pending": 0, "running": 0, "completed": 1, "failed": 1, "cancelled": 0},
    }


def test_status_for_people(told: CommandLine) -> None:
    result = told("bgjobs", "status")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "No supervisor is running; it comes with the next job.",
        "pending 0  running 0  completed 1  failed 1  cancelled 0",
    ]


def test_list_as_json(told: CommandLine) -> None:
    found = told.json("bgjobs", "list")
    assert [list(item) for item in found] == [JOB_KEYS, JOB_KEYS]
    assert [(item["id"], item["status"]) for item in found] == [(2, "failed"), (1, "completed")]
    assert found[1]["parameters"] == {"password": "••••••", "to": "ada"}
    assert all(is_utc(item[key]) for item in found for key in item if key.endswith("_at") and item[key])


def test_list_can_be_narrowed(told: CommandLine) -> None:
    assert [item["id"] for item in told.json("bgjobs", "list", "--status", "failed")] == [2]
    assert [item["id"] for item in told.json("bgjobs", "list", "--limit", "1")] == [2]
    assert told.json("bgjobs", "list", "--status", "pending") == []
    assert told("bgjobs", "list", "--status", "pending").stdout == "No jobs.\n"
    assert told("bgjobs", "list", "--status", "lost").exit_code == 2


def test_list_for_people(told: CommandLine) -> None:
    heading, failed, completed = told("bgjobs", "list").stdout.splitlines()
    assert heading.split() == ["job", "status", "what", "retry", "created", "error"]
    assert failed.split()[:4] == ["2", "failed", f"{WORK}::fail", "3/3"]
    assert failed.endswith("ValueError: no such user")
    assert completed.split()[:4] == ["1", "completed", f"{WORK}::show", "0/3"]


def test_show_as_json(told: CommandLine) -> None:
    found = told.json("bgjobs", "show", "2")
    assert list(found) == [*JOB_KEYS, "attempts", "logs"]
    (attempt,) = found["attempts"]
    assert list(attempt) == ATTEMPT_KEYS
    assert (attempt["number"], attempt["outcome"], attempt["exception_type"]) == (1, "failed", "ValueError")
    assert is_utc(attempt["started_at"])
    assert [list(item) for item in found["logs"]] == [LOG_KEYS] * 5
    assert found["logs"][-1]["message"] == "ValueError: no such user (attempt 4 of 4)"
    assert is_utc(found["logs"][0]["created_at"])


def test_show_for_people(told: CommandLine) -> None:
    text = told("bgjobs", "show", "2").stdout
    for words in ("status  failed", "method_name  fail", "attempt  host", "FAILURE: ValueError: no such user"):
        assert words in text


def test_logs(told: CommandLine) -> None:
    found = told.json("bgjobs", "logs", "1")
    assert [(list(item), item["type"]) for item in found] == [(LOG_KEYS, "success")] * 5
    lines = told("bgjobs", "logs", "1").stdout.splitlines()
    assert [line[22:] for line in lines] == [f"SUCCESS: {item['message']}" for item in found]
    assert told("bgjobs", "logs", "1", "-f").stdout.splitlines() == lines  # it has ended already


@pytest.mark.parametrize(
    "command", [["list"], ["show", "1"], ["show", "2"], ["logs", "1"], ["logs", "2"], ["status"]]
)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_secrets_are_never_shown(told: CommandLine, command: list[str], options: list[str]) -> None:
    assert "hunter2!" not in told("bgjobs", *command, *options).output


@pytest.mark.parametrize("command", [["list"], ["show", "1"], ["logs", "1"]])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_somebody_wrote_into_a_row_does_not_reach_the_terminal(
    told: CommandLine, command: list[str], options: list[str]
) -> None:
    evil = "\x1b]52;c;eA==\x07\r\u202e\x00x"
    edit(
        told, "UPDATE background_jobs SET error_message = ?1, method_name = ?1, queue = ?1, parameters = ?1", evil
    )
    edit(told, "UPDATE background_jobs SET created_at = ?1, scheduled_at = ?1", evil)
    edit(told, "UPDATE job_logs SET message = ?1, type = ?1, created_at = ?1", evil)
    edit(told, "UPDATE job_attempts SET exception_message = ?1, outcome = ?1, started_at = ?1", evil)
    result = told("bgjobs", *command, *options)
    assert result.exit_code == 0
    assert all(line.isprintable() for line in result.output.split("\n"))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["show", "9"], "There is no job 9."),
        (["logs", "9"], "There is no job 9."),
        (["logs", "9", "-f"], "There is no job 9."),
        (["cancel", "9"], "There is no job 9."),
        (["retry", "9"], "There is no job 9."),
        (["cancel", "1"], "Job 1 is completed, so it cannot be cancelled"),
        (["retry", "1"], "Job 1 is completed, so it cannot be retried"),
        (["show", "9" * 30], "There is no job 999"),
    ],
)
def test_a_refusal_is_one_line_and_exit_status_2(told: CommandLine, command: list[str], said: str) -> None:
    result = told("bgjobs", *command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {said}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("number", ["0", "-1", "abc", "1.5", "\x1b[2J"])
def test_a_job_has_a_number(told: CommandLine, number: str) -> None:
    for command in ("show", "logs", "cancel", "retry"):
        result = told("bgjobs", command, "--", number)
        assert (result.exit_code, result.stdout) == (2, "")
        assert all(line.isprintable() for line in result.stderr.split("\n"))


def test_cancel_and_retry(waiting: CommandLine) -> None:
    waiting("run-job", WORK, "show")
    assert waiting("bgjobs", "cancel", "1").output == "Job 1 cancelled\n"
    assert waiting.json("bgjobs", "status")["counts"]["cancelled"] == 1
    assert waiting("bgjobs", "retry", "1").output == "Job 1 is pending again\n"
    assert waiting.json("bgjobs", "status")["counts"]["pending"] == 1


def test_retry_runs_a_failed_job_again(told: CommandLine) -> None:
    edit(told, "UPDATE background_jobs SET retry_delay = 0 WHERE id = 2")
    assert told("bgjobs", "retry", "2").exit_code == 0
    assert told.json("bgjobs", "show", "2")["attempt"] == 5


def test_stop_where_nothing_runs(waiting: CommandLine) -> None:
    result = waiting("bgjobs", "stop")
    assert (result.exit_code, result.output) == (0, "No supervisor is running.\n")


def test_doctor_finds_everything_well(make_run: Callable[..., CommandLine]) -> None:
    run = make_run()
    found = run.json("bgjobs", "doctor")
    assert [list(check) for check in found] == [["check", "ok", "detail", "remedy"]] * len(found)
    assert all(check["ok"] for check in found)
    assert [check["check"] for check in found] == [
        "database",
        "tables",
        "log files",
        "state folder",
        "approved classes",
        "application",
        "supervisor",
        "waiting jobs",
    ]


def test_doctor_finds_what_is_wrong(make_run: Callable[..., CommandLine]) -> None:
    run = make_run(app="no_such_module:app", autostart=False)
    run("run-job", WORK, "show")
    edit(run, "UPDATE background_jobs SET scheduled_at = '2020-01-01 00:00:00.000000'")
    (run.folder / "elsewhere").write_text("")
    (run.folder / "logs").mkdir(exist_ok=True)
    (run.folder / "logs" / "background_jobs_errors.log").symlink_to(run.folder / "elsewhere")
    wrong = {check["check"]: check for check in run.json("bgjobs", "doctor", exit_code=1) if not check["ok"]}
    assert list(wrong) == ["log files", "application", "supervisor", "waiting jobs"]
    assert "no_such_module" in wrong["application"]["detail"]
    assert "BGJOBS_APP" in wrong["application"]["detail"]
    assert all(check["remedy"] for check in wrong.values())
    result = run("bgjobs", "doctor")
    assert result.exit_code == 1
    assert "NOT  application: " in result.stdout
    assert "ok   database: " in result.stdout


def test_upgrade(run: CommandLine) -> None:
    assert run("bgjobs", "upgrade").output == "The tables are at revision 0001.\n"
    (run.folder / "app.db").unlink()
    run.close()
    assert run("bgjobs", "upgrade").output == "The tables are at revision 0001, and were not there before.\n"
    assert run.json("bgjobs", "list") == []


def test_tables_of_a_newer_version_are_refused(run: CommandLine) -> None:
    edit(run, "UPDATE bgjobs_version SET version_num = '9999'")
    for command in (["list"], ["status"], ["upgrade"]):
        result = run("bgjobs", *command)
        assert result.exit_code == 2
        assert "made by a newer version" in result.stderr
        assert result.stderr.count("\n") == 1


def test_every_command_explains_itself(run: CommandLine) -> None:
    commands = ("status", "list", "show", "logs", "cancel", "retry", "supervise", "stop", "doctor", "upgrade")
    overview = run("bgjobs", "--help").stdout
    for command in commands:
        assert f"\n  {command} " in overview
        assert run("bgjobs", command, "--help").exit_code == 0


# -- why ----------------------------------------------------------------------------------------------------


def test_why_a_job_does_not_run(waiting: CommandLine) -> None:
    waiting("run-job", WORK, "show", "--delay", "3600")
    result = waiting("bgjobs", "why", "1")
    assert (result.exit_code, result.stderr) == (0, "")
    words, remedy, blank, *conditions = result.stdout.splitlines()
    assert words.startswith("It is scheduled in ")
    assert (remedy, blank) == ("Nothing has to be done: it starts by itself then.", "")
    assert conditions[0] == "ok   It is pending: It waits to be started."
    assert conditions[1] == f"NOT  Its time has come: {words}"
    found = waiting.json("bgjobs", "why", "1")
    assert found[1] == {"condition": "Its time has come", "holds": False, "words": words, "remedy": remedy}
    assert len(found) == len(conditions) == 9


def test_why_of_a_job_that_has_ended_or_never_was(told: CommandLine) -> None:
    assert told("bgjobs", "why", "2").stdout.splitlines() == [
        "It failed a moment ago.",
        "To run it again: flask bgjobs retry 2",
    ]
    result = told("bgjobs", "why", "99")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: There is no job 99. It may have been removed: list the jobs.\n",
    )


def test_a_hostile_row_is_told_without_its_control_characters(waiting: CommandLine) -> None:
    waiting("run-job", WORK, "show")
    edit(waiting, "UPDATE background_jobs SET class_name = ?, queue = ?", "a\x1b[2J\n", "\x1b]0;q\x07")
    output = waiting("bgjobs", "why", "1").stdout
    assert "a\\x1b[2J" in output
    assert not set(output) & {"\x1b", "\x07", "\r"}
