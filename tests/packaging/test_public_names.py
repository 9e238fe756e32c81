"""The public contract: every name is there, and says what it is for."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import bgjobs
from bgjobs import exceptions
from bgjobs.runner.current_job import CurrentJob

ERRORS = [name for name, item in vars(exceptions).items() if inspect.isclass(item)]
MEMBERS: dict[Any, str] = {
    bgjobs.BackgroundJobs: "init_app approve after_fork",
    bgjobs.JobHandle: "refresh wait cancel logs",
    CurrentJob: "id retry_count cancelled progress log result",
    bgjobs.CustomBackgroundJobRunner: "retry_delay_for should_retry",
    bgjobs.CustomLogger: "success info failure",
}


def test_every_name_has_a_home_and_each_home_a_name() -> None:
    assert sorted([*bgjobs._HOMES, "role"]) == sorted(bgjobs.__all__)


@pytest.mark.parametrize("name", [name for name in bgjobs.__all__ if name != "current_job"])
def test_each_name_says_what_it_is_for(name: str) -> None:
    assert inspect.getdoc(getattr(bgjobs, name))


@pytest.mark.parametrize("name", ERRORS)
def test_each_error_is_of_the_family_and_says_what_it_is(name: str) -> None:
    error = getattr(exceptions, name)
    assert issubclass(error, exceptions.JobRunnerException)
    assert error.__doc__


@pytest.mark.parametrize(
    ("owner", "member"), [(owner, member) for owner, members in MEMBERS.items() for member in members.split()]
)
def test_each_member_says_what_it_does(owner: Any, member: str) -> None:
    assert inspect.getdoc(inspect.getattr_static(owner, member))


def test_the_helper_has_the_arguments_of_the_contract_in_their_order() -> None:
    parameters = inspect.signature(bgjobs.run_background_job).parameters.values()
    positional = [item.name for item in parameters if item.kind is item.POSITIONAL_OR_KEYWORD]
    by_name = [item.name for item in parameters if item.kind is item.KEYWORD_ONLY]
    assert positional == ["class_name", "method_name", "parameters", "retry_count"]
    settled = ["delay", "run_at", "queue", "priority", "max_retries", "retry_delay", "timeout", "session"]
    assert by_name == [*settled, "memory", "nice", "output_max"]


def test_the_runner_has_the_defaults_of_the_contract() -> None:
    assert (bgjobs.CustomBackgroundJobRunner.MAX_RETRIES, bgjobs.CustomBackgroundJobRunner.RETRY_DELAY) == (3, 5)


def test_whose_job_it_is_shown_outside_of_a_job() -> None:
    with pytest.raises(RuntimeError, match="outside of a job"):
        _ = bgjobs.current_job.id
    assert bgjobs.role() == "web"
