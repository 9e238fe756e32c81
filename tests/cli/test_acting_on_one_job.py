"""``flask bgjobs kill``: in this process what it stores, as a process what becomes of the job."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cli_site import WORK
from command_lines import CommandLine, Shell


def test_only_a_running_job_can_be_killed(run: CommandLine) -> None:
    run("run-job", WORK, "show")
    result = run("bgjobs", "kill", "1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: Job 1 is completed, so it cannot be killed; nothing was changed. Look at its page.\n"
    )
    assert run("bgjobs", "kill", "7").stderr.startswith("Error: There is no job 7.")


def test_a_pending_job_cannot_be_killed(waiting: CommandLine) -> None:
    waiting("run-job", WORK, "show")
    assert "Job 1 is pending, so it cannot be killed" in waiting("bgjobs", "kill", "1").stderr


def test_a_running_job_is_killed(shell: Shell, until: Callable[..., Any]) -> None:
    waited_for = shell.start("run-job", WORK, "behind_gate", "-p", "gate=nowhere", "--wait")
    assert [waited_for.stdout.readline() for _ in range(2)] == ["Job 1 dispatched\n", "ready ☕\n"]
    assert shell.run("bgjobs", "kill", "1")[:2] == (0, "Job 1 is being killed\n")
    waited_for.communicate(timeout=30)
    assert waited_for.returncode == 1
    told = json.loads(shell.run("bgjobs", "show", "1", "--json")[1])
    (attempt,) = told["attempts"]
    assert (told["status"], attempt["outcome"], attempt["exit_status"]) == ("cancelled", "cancelled", -9)
    assert attempt["exception_message"].startswith("Killed by ")
    assert " on the command line: killed by signal 9 (SIGKILL), by bgjobs" in attempt["exception_message"]
    assert any("Background job killed by" in item["message"] for item in told["logs"])
