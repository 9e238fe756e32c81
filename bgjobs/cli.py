"""``flask run-job`` and ``flask bgjobs …``."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

import click
import humanize
from flask.cli import AppGroup, with_appcontext

from bgjobs import lookups, pausing
from bgjobs.app_state import AppState, app_state
from bgjobs.exceptions import InvalidParameters, JobRunnerException
from bgjobs.handle import JobHandle
from bgjobs.helper import run_background_job
from bgjobs.models import COMPLETED, STATUSES, UNFINISHED
from bgjobs.output import read_from
from bgjobs.records import Record, job_with_story, newest_jobs, running_record
from bgjobs.redaction import escape, escape_lines
from bgjobs.supervisor import control
from bgjobs.supervisor.doctor import examine
from bgjobs.supervisor.retention import Pruned, Pruner, retention_of
from bgjobs.supervisor.status import supervisor_status

_LOOK_INTERVAL = 0.1
_CHUNK = 64 * 1024

Command = TypeVar("Command", bound=Callable[..., Any])


def _refusals_in_one_line(command: Command) -> Command:
    """A mistake of the user is one line on standard error and exit status 2, not a stack trace."""

    @wraps(command)
    def careful(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except JobRunnerException as error:
            click.echo(f"Error: {escape(str(error))}", err=True)
            sys.exit(2)

    return careful  # type: ignore[return-value]


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")
job_id = click.argument("job_id", type=click.IntRange(min=1), metavar="ID")


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
@_refusals_in_one_line
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
        click.echo(f"Job {handle} {handle.status}{_because(handle.error_message)}", err=True)
        sys.exit(0 if handle.status == COMPLETED else 1)


bgjobs_commands = AppGroup("bgjobs", help="Look at the background jobs, and see to them.")


@bgjobs_commands.command("status")
@as_json
@_refusals_in_one_line
def status_command(as_json: bool) -> None:
    """Show the supervisor, what is running, and how many jobs there are."""
    state = app_state()
    supervisor = supervisor_status(state.folder)
    with state.store.database.reading() as connection:
        running = [running_record(row) for row in lookups.running(connection)]
        counts = lookups.counts(connection)
        paused = [row.queue for row in lookups.queues_paused(connection)]
    told = None if supervisor is None else asdict(supervisor)
    found: Record = {
        "supervisor": told
        and {key: told[key] for key in ("pid", "host", "started_at", "database", "backend", "processes")},
        "fork_server": told and told["fork_server_pid"] and {"pid": told["fork_server_pid"]},
        "running": running,
        "counts": counts,
    }
    if as_json:
        _print_json(found)
        return
    click.echo("No supervisor is running; it comes with the next job." if supervisor is None else _describe(told))
    for message in (told or {}).get("warning"), (told or {}).get("app_error"):
        if message:
            click.echo(escape_lines(message), err=True)
    if running:
        _print_table(
            ("job", "pid", "what", "since"),
            [(item["id"], item["pid"], _what(item), _ago(item["started_at"])) for item in running],
        )
    click.echo("  ".join(f"{name} {count:,}" for name, count in counts.items()))
    if paused:
        click.echo(f"paused queues: {', '.join(map(escape, paused))}")


@bgjobs_commands.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only jobs of this status.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@as_json
@_refusals_in_one_line
def list_command(status: str | None, limit: int, as_json: bool) -> None:
    """List the newest jobs."""
    state = app_state()
    with state.store.database.reading() as connection:
        found = newest_jobs(connection, limit, status, state.redactor)
    if as_json:
        _print_json(found)
    elif not found:
        click.echo("No jobs.")
    else:
        _print_table(
            ("job", "status", "what", "retry", "created", "error"),
            [
                (
                    item["id"],
                    item["status"],
                    _what(item),
                    f"{item['retry_count']}/{item['max_retries']}",
                    _ago(item["created_at"]),
                    (item["error_message"] or "")[:60],
                )
                for item in found
            ],
        )


@bgjobs_commands.command("show")
@job_id
@as_json
@_refusals_in_one_line
def show_command(job_id: int, as_json: bool) -> None:
    """Show one job with its attempts and its log."""
    state = app_state()
    with state.store.database.reading() as connection:
        found = job_with_story(connection, job_id, state.redactor)
    if as_json:
        _print_json(found)
        return
    for key, value in found.items():
        if key not in ("attempts", "logs") and value is not None:
            click.echo(f"{key:>20}  {_shown(value)}")
    if found["attempts"]:
        click.echo()
        _print_table(
            ("attempt", "pid", "started", "outcome", "exit", "error"),
            [
                (
                    item["number"],
                    item["pid"],
                    item["started_at"],
                    item["outcome"] or "running",
                    item["exit_status"],
                    " ".join(filter(None, (item["exception_type"], (item["exception_message"] or "")[:60]))),
                )
                for item in found["attempts"]
            ],
        )
    click.echo()
    _print_logs(found["logs"])


@bgjobs_commands.command("logs")
@job_id
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@as_json
@_refusals_in_one_line
def logs_command(job_id: int, follow: bool, as_json: bool) -> None:
    """Show the log of one job."""
    state = app_state()
    printed = 0
    while True:
        with state.store.database.reading() as connection:
            found = job_with_story(connection, job_id, state.redactor)
        new = found["logs"][printed:]
        printed += len(new)
        if as_json and follow:
            for item in new:
                click.echo(json.dumps(item))
        elif as_json:
            _print_json(new)
        else:
            _print_logs(new)
        if not follow or found["status"] not in UNFINISHED:
            return
        time.sleep(_LOOK_INTERVAL)


@bgjobs_commands.command("cancel")
@job_id
@_refusals_in_one_line
def cancel_command(job_id: int) -> None:
    """Cancel a pending job, or ask a running one to stop."""
    state = app_state()
    status = state.store.cancel(job_id, by=_whoever_this_is())
    state.backend.wake()
    click.echo(f"Job {job_id} cancelled" if status not in UNFINISHED else f"Job {job_id} was asked to stop")


@bgjobs_commands.command("retry")
@job_id
@_refusals_in_one_line
def retry_command(job_id: int) -> None:
    """Put a failed or cancelled job back to pending."""
    state = app_state()
    state.store.retry(job_id)
    state.backend.dispatched([job_id])
    click.echo(f"Job {job_id} is pending again")


@bgjobs_commands.command("pause")
@job_id
@_refusals_in_one_line
def pause_command(job_id: int) -> None:
    """Hold up a running job, with everything it started; its timeout stands still."""
    state = app_state()
    pausing.pause(state.store, job_id, by=_whoever_this_is())
    state.backend.wake()
    click.echo(f"Job {job_id} is paused")


@bgjobs_commands.command("resume")
@job_id
@_refusals_in_one_line
def resume_command(job_id: int) -> None:
    """Let a paused job go on."""
    state = app_state()
    pausing.resume(state.store, job_id, by=_whoever_this_is())
    state.backend.wake()
    click.echo(f"Job {job_id} goes on")


@bgjobs_commands.command("pause-queue")
@click.argument("queue", metavar="NAME")
@_refusals_in_one_line
def pause_queue_command(queue: str) -> None:
    """Start no more jobs of a queue. Those that run go on."""
    news = pausing.pause_queue(app_state().store, queue, by=_whoever_this_is())
    click.echo(f"Queue {queue} is paused" if news else f"Queue {queue} was paused already")


@bgjobs_commands.command("resume-queue")
@click.argument("queue", metavar="NAME")
@_refusals_in_one_line
def resume_queue_command(queue: str) -> None:
    """Start the jobs of a paused queue again."""
    state = app_state()
    pausing.resume_queue(state.store, queue)
    state.backend.wake()
    click.echo(f"Queue {queue} goes on")


@bgjobs_commands.command("supervise")
@_refusals_in_one_line
def supervise_command() -> None:
    """Be the supervisor, in the foreground: for systemd and containers."""
    status = control.supervise(app_state())
    if status is None:
        click.echo("Error: A supervisor is at work already; see flask bgjobs status.", err=True)
    sys.exit(1 if status is None else status)


@bgjobs_commands.command("stop")
@_refusals_in_one_line
def stop_command() -> None:
    """Stop the supervisor. Running jobs may finish for the grace period; the rest goes back to pending."""
    try:
        pid = control.stop(app_state())
    except TimeoutError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    click.echo("No supervisor is running." if pid is None else f"The supervisor (pid {pid}) has stopped.")


@bgjobs_commands.command("doctor")
@as_json
@_refusals_in_one_line
def doctor_command(as_json: bool) -> None:
    """Check everything that jobs need; exit with 1 if something is not as it must be."""
    found = []
    for check in examine(app_state()):
        found.append(check)
        if not as_json:
            click.echo(f"{'ok ' if check.ok else 'NOT'}  {check.check}: {escape_lines(check.detail)}")
            if not check.ok:
                click.echo(f"     {check.remedy}")
    if as_json:
        _print_json([asdict(check) for check in found])
    sys.exit(0 if all(check.ok for check in found) else 1)


@bgjobs_commands.command("upgrade")
@_refusals_in_one_line
def upgrade_command() -> None:
    """Bring the tables of bgjobs to this version."""
    database = app_state().store.database
    before = database.schema_revision()
    database.migrate()
    after = database.schema_revision()
    was = "" if before == after else ", and were not there before" if before is None else f", before at {before}"
    click.echo(f"The tables are at revision {after}{was}.")


@bgjobs_commands.command("prune")
@click.option("--dry-run", is_flag=True, help="Only count.")
@as_json
@_refusals_in_one_line
def prune_command(dry_run: bool, as_json: bool) -> None:
    """Remove ended jobs that are too old or too many, by the BGJOBS_RETENTION settings."""
    state = app_state()
    retention, pruned = retention_of(state.settings), Pruned()
    walk = Pruner(state.store, state.folder, retention)
    while (some := walk.prune_some(dry_run=dry_run)) is not None:
        pruned += some
    if as_json:
        _print_json({"dry_run": dry_run, **pruned.to_json()})
    elif not retention.is_limited:
        click.echo("Jobs are kept for ever, unless BGJOBS_RETENTION_COMPLETED, _FAILED or _COUNT says otherwise.")
    else:
        found = ", ".join(f"{count} {status}" for status, count in pruned.to_json()["jobs"].items())
        click.echo(
            f"{'Would remove' if dry_run else 'Removed'} {pruned.jobs.total()} jobs ({found}), with "
            f"{pruned.logs} log records, {pruned.attempts} attempts, {pruned.samples} samples and "
            f"{pruned.files} files of output."
        )


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
            text, offset = read_from(state.folder.output_file(handle.id, attempt), offset, _CHUNK)
            click.echo(escape_lines(text), nl=False)
            if not text and attempt >= latest:
                break
            if not text:
                attempt, offset = attempt + 1, 0
        if ended:
            return
        time.sleep(_LOOK_INTERVAL)


def _whoever_this_is() -> str:
    try:
        return f"{getpass.getuser()} on the command line"
    except (OSError, KeyError):  # a container may run us as a user that has no name
        return f"user {os.geteuid()} on the command line"


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def _print_logs(records: Iterable[Record]) -> None:
    for item in records:
        # Escaped once more: a row may have been edited by hand.
        then = (item["created_at"] or "")[:19].replace("T", " ")
        click.echo(f"[{then}] {escape(item['type'].upper())}: {escape(item['message'])}")


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    cells = [[escape("" if value is None else str(value)) for value in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _describe(supervisor: Record | None) -> str:
    assert supervisor is not None
    return (
        f"Supervisor {supervisor['pid']} on {supervisor['host']}, started {_ago(supervisor['started_at'])}, "
        f"{supervisor['processes']} jobs at once, database {supervisor['database']}"
    )


def _what(item: Record) -> str:
    return f"{item['class_name']}::{item['method_name']}"


def _ago(moment: str | None) -> str:
    if moment is None:
        return ""
    then = datetime.fromisoformat(moment)
    return humanize.naturaltime(datetime.now(then.tzinfo) - then)


def _shown(value: Any) -> str:
    return escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _because(error: str | None) -> str:
    return f": {escape(error)}" if error else ""
