"""The commands as processes, with a supervisor and jobs that are real."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest
from cli_site import WORK
from command_lines import Shell

Until = Callable[..., Any]


def supervise(shell: Shell, until: Until) -> Any:
    process = shell.start("bgjobs", "supervise")
    until(lambda: list(shell.folder.glob("bgjobs/*/status.json")) or process.poll() is not None, 30)
    assert process.poll() is None
    return process


def test_a_supervisor_in_the_foreground_and_a_job_that_is_waited_for(shell: Shell, until: Until) -> None:
    supervisor = supervise(shell, until)
    gate = shell.folder / "gate"
    waited_for = shell.start("run-job", WORK, "behind_gate", "-p", f"gate={gate}", "--wait")
    assert waited_for.stdout.readline() == "Job 1 dispatched\n"
    assert waited_for.stdout.readline() == "ready ☕\n"  # as it comes: the job is still at its gate
    followed = shell.start("bgjobs", "logs", "1", "--follow")
    assert any("INFO: it waits" in line for line in followed.stdout)

    told = json.loads(shell.run("bgjobs", "status", "--json")[1])
    assert list(told) == ["supervisor", "fork_server", "running", "counts"]
    assert list(told["supervisor"]) == ["pid", "host", "started_at", "database", "backend", "processes"]
    assert (told["supervisor"]["pid"], told["supervisor"]["processes"]) == (supervisor.pid, 2)
    assert list(told["fork_server"]) == ["pid"]
    (running,) = told["running"]
    assert list(running) == ["id", "pid", "class_name", "method_name", "started_at"]
    assert (running["id"], running["class_name"], running["method_name"]) == (1, WORK, "behind_gate")
    assert told["counts"] == {"pending": 0, "running": 1, "completed": 0, "failed": 0, "cancelled": 0}
    assert running["pid"] in {process.pid for process in shell.family()}

    second = shell.run("bgjobs", "supervise")
    assert second == (1, "", "Error: A supervisor is at work already; see flask bgjobs status.\n")

    gate.touch()
    output, errors = waited_for.communicate(timeout=30)
    assert (waited_for.returncode, output) == (0, "gone through\n")
    assert errors.splitlines()[-1] == "Job 1 completed"
    output, errors = followed.communicate(timeout=30)
    assert followed.returncode == 0
    assert output.endswith("SUCCESS: Background job completed processing\n")

    supervisor.send_signal(signal.SIGTERM)
    supervisor.communicate(timeout=30)
    assert supervisor.returncode == 0


def test_a_job_that_is_waited_for_fails(shell: Shell) -> None:
    code, output, errors = shell.run("run-job", WORK, "fail", "--retry-count", "3", "--wait")
    assert (code, output) == (1, "Job 1 dispatched\n")
    assert errors.splitlines()[-1] == "Job 1 failed: ValueError: no such user"
    code, output, _ = shell.run("run-job", WORK, "draw", "--wait")
    assert (code, output) == (0, "Job 2 dispatched\na\\x1b[2Jb\\x0dc\n")
    code, output, errors = shell.run("bgjobs", "stop")
    assert (code, errors) == (0, "")
    assert output.startswith("The supervisor (pid ")
    assert output.endswith(") has stopped.\n")


def test_a_running_job_is_cancelled(shell: Shell) -> None:
    waited_for = shell.start("run-job", WORK, "behind_gate", "-p", "gate=nowhere", "--wait")
    assert [waited_for.stdout.readline() for _ in range(2)] == ["Job 1 dispatched\n", "ready ☕\n"]
    assert shell.run("bgjobs", "cancel", "1")[:2] == (0, "Job 1 was asked to stop\n")
    waited_for.communicate(timeout=30)
    assert waited_for.returncode == 1


@pytest.mark.parametrize("arguments", [["status", "--json"], ["list"], ["--help"]])
def test_the_module_is_the_same_commands(shell: Shell, arguments: list[str]) -> None:
    ours = shell.run(*arguments, module="bgjobs")
    assert ours[0] == 0
    assert ours[1] == shell.run("bgjobs", *arguments)[1].replace("python -m flask", "flask")
