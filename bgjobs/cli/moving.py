"""``flask bgjobs move``: to another database."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable

import click
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from bgjobs.app_state import AppState, app_state, url_of
from bgjobs.cli.group import bgjobs_commands, refusals_in_one_line
from bgjobs.custom_logger import console
from bgjobs.database import SCHEMA_REVISION, Database
from bgjobs.database_errors import answering
from bgjobs.exceptions import ConfigurationError
from bgjobs.moving import besides, hand_over, history, ticket
from bgjobs.moving.transfer import Step, Transfer
from bgjobs.state_folder import StateFolder
from bgjobs.store import Store

# Seconds. Both databases may be at work meanwhile.
_PATIENCE = 30.0
_SHOWN_REFUSED = 20


@bgjobs_commands.command("move")
@click.option("--to", metavar="URI", help="The new database; the application still has the old one.")
@click.option("--from", "from_", metavar="URI", help="The old database; the application has the new one.")
@click.option("--finish", is_flag=True, help="Hand over the jobs that have not ended, too.")
@click.option("--batch", type=click.IntRange(1, 10_000), default=500, show_default=True, help="Jobs at a time.")
@refusals_in_one_line
def move_command(to: str | None, from_: str | None, finish: bool, batch: int) -> None:
    """Copy the jobs to another database, with all that belongs to them.

    It can be repeated at any time, and goes on where it was interrupted.
    """
    state = app_state()
    if (to is None) == (from_ is None):
        raise click.UsageError("Say where to, with --to URI, or where from, with --from URI.")
    source, destination = _database(state, from_, must_exist=True), _database(state, to)
    try:
        sys.exit(_move(state, source, destination, batch, finish=finish))
    finally:
        source.dispose()
        destination.dispose()


def _move(state: AppState, source: Database, destination: Database, batch: int, *, finish: bool) -> int:
    """The exit status: 1 where something is left to do."""
    with answering(destination.url):
        if destination.schema_revision() != SCHEMA_REVISION:
            destination.migrate()
    ticket.obtain(source, destination)
    store = Store(source, state.logger, state.redactor)
    transfer = Transfer(source, destination, StateFolder.of(str(state.settings.state_dir), source.url))
    besides.bring_pauses(source, destination)
    total = history.number_of_jobs(source)
    copied, refused = _watched(history.copy_history(source, transfer, batch), total)
    click.echo(f"Copied {copied:,} jobs that have ended, of {total:,}.")
    if finish:
        console.setLevel(max(console.level, logging.WARNING))  # else a line for each job, beside the percents
        hand_over.recover_lost(store)
        waiting, _ = hand_over.unfinished(source)
        shown = destination.url.render_as_string()
        handed, stuck = _watched(hand_over.hand_over(store, transfer, shown, batch), waiting)
        refused += stuck
        click.echo(f"Handed over {handed:,} jobs that waited.")
        if handed and state.database_url == destination.url:
            state.backend.wake()
    waiting, running = hand_over.unfinished(source)
    besides.bring_charts(source, destination, nothing_runs=finish and not waiting + running)
    return _say_what_is_left(waiting, running, refused, finish=finish)


def _watched(steps: Iterable[Step], total: int) -> tuple[int, list[int]]:
    """Go through the work, saying how far it is to who looks on; how many jobs were brought, and which not."""
    seen = brought = 0
    refused: list[int] = []
    looks_on = sys.stderr.isatty()
    for step in steps:
        seen, brought = seen + step.seen, brought + step.brought
        refused += step.refused
        if looks_on:
            click.echo(f"\r{min(100, seen * 100 // max(1, total)):3} %", nl=False, err=True)
    if looks_on and seen:
        click.echo("\r     \r", nl=False, err=True)
    return brought, refused


def _say_what_is_left(waiting: int, running: int, refused: list[int], *, finish: bool) -> int:
    if refused:
        numbers = ", ".join(map(str, refused[:_SHOWN_REFUSED])) + " …" * (len(refused) > _SHOWN_REFUSED)
        click.echo(f"The new database does not take {len(refused):,} jobs, which stay: {numbers}", err=True)
    if not waiting + running:
        if finish:
            click.echo("Nothing is left in the old database but history.")
    elif finish:
        click.echo(
            f"{running:,} jobs run and {waiting:,} wait in the old database. Run this again when they ended."
        )
    else:
        click.echo(
            f"{running:,} jobs run and {waiting:,} wait: they stay in the old database, and go on there. Let the "
            "application use the new one, then run: flask bgjobs move --from OLD --finish"
        )
    return 1 if refused or (finish and waiting + running) else 0


def _database(state: AppState, uri: str | None, *, must_exist: bool = False) -> Database:
    """The database of an option, or else the application's own."""
    try:
        url = state.database_url if uri is None else url_of(state.app, uri)
        database = Database(url, patience=_PATIENCE)
        if must_exist and database.is_sqlite and not os.path.exists(str(url.database).removeprefix("file:")):
            raise ConfigurationError(f"There is no file {url.database}. Name the database that has the jobs.")
        database.engine  # noqa: B018 - its driver is looked for
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigurationError(
            f"There is no driver for this database: {error}. Install flask-bgjobs[postgresql] and begin the URL "
            "with postgresql+psycopg://, or flask-bgjobs[mariadb] and mariadb+pymysql://"
        ) from error
    except (ArgumentError, ValueError):
        # Neither the value nor the cause is shown: either may hold the password.
        raise ConfigurationError(
            "Name the database by an SQLAlchemy URL, as sqlite:////srv/shop/jobs.db."
        ) from None
    return database
