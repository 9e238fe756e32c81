"""The commands that run the service: supervise, stop, doctor, upgrade, prune."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from bgjobs.app_state import app_state
from bgjobs.cli.group import as_json, bgjobs_commands, refusals_in_one_line
from bgjobs.cli.printing import print_json
from bgjobs.options import checked_queue
from bgjobs.redaction import escape_lines
from bgjobs.removal import Removed
from bgjobs.supervisor import control
from bgjobs.supervisor.doctor import examine
from bgjobs.supervisor.retention import Pruner, retention_of


@bgjobs_commands.command("supervise")
@refusals_in_one_line
def supervise_command() -> None:
    """Be the supervisor, in the foreground: for systemd and containers."""
    status = control.supervise(app_state())
    if status is None:
        click.echo("Error: A supervisor is at work already; see flask bgjobs status.", err=True)
    sys.exit(1 if status is None else status)


@bgjobs_commands.command("worker")
@click.option("--queues", default="", help="Only these, with commas between; default: all that are in use.")
@click.option("--processes", type=click.IntRange(1, 1024), help="Jobs at once; default: BGJOBS_PROCESSES.")
@refusals_in_one_line
def worker_command(queues: str, processes: int | None) -> None:
    """Be a worker of the celery backend: publish due jobs, and run what comes to this machine."""
    # Celery is optional, and only a worker needs it.
    from bgjobs.backends.celery.worker import work

    sys.exit(work(app_state(), [checked_queue(name) for name in queues.split(",") if name], processes))


@bgjobs_commands.command("stop")
@refusals_in_one_line
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
@refusals_in_one_line
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
        print_json([asdict(check) for check in found])
    sys.exit(0 if all(check.ok for check in found) else 1)


@bgjobs_commands.command("upgrade")
@refusals_in_one_line
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
@refusals_in_one_line
def prune_command(dry_run: bool, as_json: bool) -> None:
    """Remove ended jobs that are too old or too many, by the BGJOBS_RETENTION settings."""
    state = app_state()
    retention, pruned = retention_of(state.settings), Removed()
    walk = Pruner(state.store, state.folder, retention)
    while (some := walk.prune_some(dry_run=dry_run)) is not None:
        pruned += some
    if as_json:
        print_json({"dry_run": dry_run, **pruned.to_json()})
    elif not retention.is_limited:
        click.echo("Jobs are kept for ever, unless BGJOBS_RETENTION_COMPLETED, _FAILED or _COUNT says otherwise.")
    else:
        found = ", ".join(f"{count} {status}" for status, count in pruned.to_json()["jobs"].items())
        click.echo(
            f"{'Would remove' if dry_run else 'Removed'} {pruned.jobs.total()} jobs ({found}), with "
            f"{pruned.logs} log records, {pruned.attempts} attempts, {pruned.samples} samples and "
            f"{pruned.files} files of output."
        )
