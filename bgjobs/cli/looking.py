"""The commands that show: status, list, show, logs, why."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import click

from bgjobs import lookups
from bgjobs.app_state import app_state
from bgjobs.cli.group import as_json, bgjobs_commands, job_id, refusals_in_one_line
from bgjobs.cli.printing import ago, print_json, print_logs, print_table, shown, what
from bgjobs.models import STATUSES, UNFINISHED
from bgjobs.records import Record, job_with_story, newest_jobs, running_record
from bgjobs.redaction import escape, escape_lines
from bgjobs.supervisor.elsewhere import Elsewhere, supervisors_elsewhere
from bgjobs.supervisor.status import supervisor_status
from bgjobs.why import NOTHING, obstacle, why

_LOOK_INTERVAL = 0.1


@bgjobs_commands.command("status")
@as_json
@refusals_in_one_line
def status_command(as_json: bool) -> None:
    """Show the supervisor, what is running, and how many jobs there are."""
    state = app_state()
    supervisor = supervisor_status(state.folder)
    with state.store.database.reading() as connection:
        running = [running_record(row) for row in lookups.running(connection)]
        counts = lookups.counts(connection)
        paused = [row.queue for row in lookups.queues_paused(connection)]
        others = supervisors_elsewhere(connection)
    told = None if supervisor is None else asdict(supervisor)
    found: Record = {
        "supervisor": told
        and {key: told[key] for key in ("pid", "host", "started_at", "database", "backend", "processes")},
        "fork_server": told and told["fork_server_pid"] and {"pid": told["fork_server_pid"]},
        "running": running,
        "counts": counts,
    }
    if as_json:
        print_json(found)
        return
    comes = "it comes with the next job" if state.settings.autostart else "start one: flask bgjobs supervise"
    click.echo(f"No supervisor is running; {comes}." if supervisor is None else _describe(told))
    for message in (told or {}).get("warning"), (told or {}).get("app_error"):
        if message:
            click.echo(escape_lines(message), err=True)
    if others:
        print_table(
            ("host", "pid", "jobs at once", "lease"),
            [(item.status.host, item.status.pid, item.status.processes, _lease(item)) for item in others],
        )
    if running:
        print_table(
            ("job", "pid", "what", "since"),
            [(item["id"], item["pid"], what(item), ago(item["started_at"])) for item in running],
        )
    click.echo("  ".join(f"{name} {count:,}" for name, count in counts.items()))
    if paused:
        click.echo(f"paused queues: {', '.join(map(escape, paused))}")


def _lease(supervisor: Elsewhere) -> str:
    return f"{supervisor.left:.0f} s left" if supervisor.is_heard_of else f"ended {-supervisor.left:.0f} s ago"


@bgjobs_commands.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only jobs of this status.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@as_json
@refusals_in_one_line
def list_command(status: str | None, limit: int, as_json: bool) -> None:
    """List the newest jobs."""
    state = app_state()
    with state.store.database.reading() as connection:
        found = newest_jobs(connection, limit, status, state.redactor)
    if as_json:
        print_json(found)
    elif not found:
        click.echo("No jobs.")
    else:
        print_table(
            ("job", "status", "what", "retry", "created", "error"),
            [
                (
                    item["id"],
                    item["status"],
                    what(item),
                    f"{item['retry_count']}/{item['max_retries']}",
                    ago(item["created_at"]),
                    (item["error_message"] or "")[:60],
                )
                for item in found
            ],
        )


@bgjobs_commands.command("show")
@job_id
@as_json
@refusals_in_one_line
def show_command(job_id: int, as_json: bool) -> None:
    """Show one job with its attempts and its log."""
    state = app_state()
    with state.store.database.reading() as connection:
        found = job_with_story(connection, job_id, state.redactor)
    if as_json:
        print_json(found)
        return
    for key, value in found.items():
        if key not in ("attempts", "logs") and value is not None:
            click.echo(f"{key:>20}  {shown(value)}")
    if found["attempts"]:
        click.echo()
        print_table(
            ("attempt", "host", "pid", "started", "outcome", "exit", "error"),
            [
                (
                    item["number"],
                    item["host"],
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
    print_logs(found["logs"])


@bgjobs_commands.command("logs")
@job_id
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@as_json
@refusals_in_one_line
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
            print_json(new)
        else:
            print_logs(new)
        if not follow or found["status"] not in UNFINISHED:
            return
        time.sleep(_LOOK_INTERVAL)


@bgjobs_commands.command("why")
@job_id
@as_json
@refusals_in_one_line
def why_command(job_id: int, as_json: bool) -> None:
    """Say why a job does not run, and what to do about it."""
    reasons = why(app_state(), job_id)
    if as_json:
        print_json([asdict(reason) for reason in reasons])
        return
    found = obstacle(reasons)
    if found is None:
        click.echo(NOTHING)
    else:
        click.echo(found.words)
        if found.remedy:
            click.echo(found.remedy)
    if len(reasons) > 1:
        click.echo()
        for reason in reasons:
            click.echo(f"{'ok ' if reason.holds else 'NOT'}  {reason.condition}: {reason.words}")


def _describe(supervisor: Record | None) -> str:
    assert supervisor is not None
    return (
        f"Supervisor {supervisor['pid']} on {supervisor['host']}, started {ago(supervisor['started_at'])}, "
        f"{supervisor['processes']} jobs at once, database {supervisor['database']}"
    )
