"""The commands that act on a job or a queue."""

from __future__ import annotations

import getpass
import os

import click

from bgjobs import killing, pausing
from bgjobs.app_state import app_state
from bgjobs.cli.group import bgjobs_commands, job_id, refusals_in_one_line
from bgjobs.models import UNFINISHED


@bgjobs_commands.command("cancel")
@job_id
@refusals_in_one_line
def cancel_command(job_id: int) -> None:
    """Cancel a pending job, or ask a running one to stop."""
    state = app_state()
    status = state.store.cancel(job_id, by=_whoever_this_is())
    state.backend.wake()
    click.echo(f"Job {job_id} cancelled" if status not in UNFINISHED else f"Job {job_id} was asked to stop")


@bgjobs_commands.command("kill")
@job_id
@refusals_in_one_line
def kill_command(job_id: int) -> None:
    """End a running job at once, with everything it started. It cannot tidy up."""
    state = app_state()
    news = killing.kill(state.store, job_id, by=_whoever_this_is())
    state.backend.wake()
    click.echo(f"Job {job_id} is being killed{'' if news else ' already'}")


@bgjobs_commands.command("retry")
@job_id
@refusals_in_one_line
def retry_command(job_id: int) -> None:
    """Put a failed or cancelled job back to pending."""
    state = app_state()
    state.store.retry(job_id)
    state.backend.dispatched([job_id])
    click.echo(f"Job {job_id} is pending again")


@bgjobs_commands.command("pause")
@job_id
@refusals_in_one_line
def pause_command(job_id: int) -> None:
    """Hold up a running job, with everything it started; its timeout stands still."""
    state = app_state()
    pausing.pause(state.store, job_id, by=_whoever_this_is())
    state.backend.wake()
    click.echo(f"Job {job_id} is paused")


@bgjobs_commands.command("resume")
@job_id
@refusals_in_one_line
def resume_command(job_id: int) -> None:
    """Let a paused job go on."""
    state = app_state()
    pausing.resume(state.store, job_id, by=_whoever_this_is())
    state.backend.wake()
    click.echo(f"Job {job_id} goes on")


@bgjobs_commands.command("pause-queue")
@click.argument("queue", metavar="NAME")
@refusals_in_one_line
def pause_queue_command(queue: str) -> None:
    """Start no more jobs of a queue. Those that run go on."""
    news = pausing.pause_queue(app_state().store, queue, by=_whoever_this_is())
    click.echo(f"Queue {queue} is paused" if news else f"Queue {queue} was paused already")


@bgjobs_commands.command("resume-queue")
@click.argument("queue", metavar="NAME")
@refusals_in_one_line
def resume_queue_command(queue: str) -> None:
    """Start the jobs of a paused queue again."""
    state = app_state()
    pausing.resume_queue(state.store, queue)
    state.backend.wake()
    click.echo(f"Queue {queue} goes on")


def _whoever_this_is() -> str:
    try:
        return f"{getpass.getuser()} on the command line"
    except (OSError, KeyError):  # a container may run us as a user that has no name
        return f"user {os.geteuid()} on the command line"
