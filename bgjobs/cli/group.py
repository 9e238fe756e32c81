"""What the commands have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click
from flask.cli import AppGroup

from bgjobs.exceptions import JobRunnerException
from bgjobs.redaction import escape

Command = TypeVar("Command", bound=Callable[..., Any])

bgjobs_commands = AppGroup("bgjobs", help="Look at the background jobs, and see to them.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
job_id = click.argument("job_id", type=click.IntRange(min=1), metavar="ID")


def refusals_in_one_line(command: Command) -> Command:
    """A mistake of the user is one line on standard error and exit status 2, not a stack trace."""

    @wraps(command)
    def careful(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except JobRunnerException as error:
            click.echo(f"Error: {escape(str(error))}", err=True)
            sys.exit(2)

    return careful  # type: ignore[return-value]
