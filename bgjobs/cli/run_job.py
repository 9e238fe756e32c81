"""``flask run-job``: dispatch from the command line, and watch."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import click
from flask.cli import with_appcontext

from bgjobs import lookups
from bgjobs.app_state import AppState, app_state
from bgjobs.cli.group import refusals_in_one_line
from bgjobs.cli.printing import because
from bgjobs.exceptions import InvalidParameters
from bgjobs.handle import JobHandle
from bgjobs.helper import run_background_job
from bgjobs.models import COMPLETED, UNFINISHED
from bgjobs.printed import printed_by, text_from
from bgjobs.redaction import escape_lines

_LOOK_INTERVAL = 0.1
_CHUNK = 64 * 1024


@click.command("run-job")
@click.argument("class_name", metavar="CLASS")
@click.argument("method_name", metavar="METHOD")
@click.argument("parameters", metavar="[JSON]", required=False)
@click.option("-p", "pairs", metavar="KEY=VALUE", multiple=True, help="A parameter; VALUE is JSON, or else text.")
@click.option("--retry-count", type=int, default=0, metavar="N", help="The number of the current retry.")
@click.option("--delay", type=float, metavar="S", help="Seconds until the job may start.")
@click.option("--queue", metavar="Q")
@click.option("--priority", type=int, metavar="N", help="Smaller runs first.")
@click.option("--wait", is_flag=True, help="Show the output as it comes; exit with 1 if the job fails.")
@with_appcontext
@refusals_in_one_line
def run_job_command(
    class_name: str,
    method_name: str,
    parameters: str | None,
    pairs: Sequence[str],
    retry_count: int,
    delay: float | None,
    queue: str | None,
    priority: int | None,
    wait: bool,
) -> None:
    """Dispatch METHOD of the approved class CLASS, with parameters as JSON or as -p key=value."""
    handle = run_background_job(
        class_name,
        method_name,
        _parameters(parameters, pairs),
        retry_count,
        delay=delay,
        queue=queue,
        priority=priority,
    )
    click.echo(f"Job {handle} dispatched")
    if wait:
        _show_output_until_ended(app_state(), handle)
        click.echo(f"Job {handle} {handle.status}{because(handle.error_message)}", err=True)
        sys.exit(0 if handle.status == COMPLETED else 1)


def _parameters(text: str | None, pairs: Iterable[str]) -> dict[str, Any] | list[Any] | None:
    parameters = None if text is None else _parsed(text)
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidParameters("write it as KEY=VALUE", path=f"-p {pair[:40]}")
        parameters = {} if parameters is None else parameters
        if not isinstance(parameters, dict):
            raise InvalidParameters("give a JSON object with it, or no JSON", path="-p")
        if key in parameters:
            raise InvalidParameters("given twice", path=f"-p {key[:40]}")
        parameters[key] = _json_or_text(value)
    return parameters


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except RecursionError:
        raise InvalidParameters("nested too deeply") from None
    except ValueError as error:
        raise InvalidParameters(f"not JSON: {str(error)[:200]}") from error


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidParameters("a key stands twice in one object")
    return found


def _show_output_until_ended(state: AppState, handle: JobHandle) -> None:
    """Print what the job prints, attempt after attempt, until it has ended."""
    attempt, offset = 1, 0
    while True:
        ended = handle.refresh().status not in UNFINISHED
        with state.store.database.reading() as connection:
            latest = lookups.job_row(connection, handle.id).attempt
        while True:
            printed = printed_by(state.store.database, state.folder, handle.id, [attempt])[attempt]
            text, offset = text_from(printed, offset, _CHUNK)
            click.echo(escape_lines(text), nl=False)
            if not text and attempt >= latest:
                break
            if not text:
                attempt, offset = attempt + 1, 0
        if ended:
            return
        time.sleep(_LOOK_INTERVAL)
