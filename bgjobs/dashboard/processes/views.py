"""The page of the processes, and what its buttons do."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from bgjobs.app_state import app_state
from bgjobs.dashboard import actions, htmx
from bgjobs.dashboard.access import who
from bgjobs.dashboard.addresses import number_of_job
from bgjobs.dashboard.csrf import csrf_token
from bgjobs.dashboard.glance import glance
from bgjobs.dashboard.processes import queries
from bgjobs.dashboard.processes.machine import machine, others
from bgjobs.dashboard.processes.table import STEPS, local_pids, running_table
from bgjobs.dashboard.section import Section
from bgjobs.supervisor.elsewhere import supervisors_elsewhere

SECTION = Section("Processes", ".processes", "p")


def add_to(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/processes", "processes", show_processes)
    blueprint.add_url_rule(
        f"/processes/<job_id>/<any({','.join(STEPS)}):action>", "act_on_process", act_on_process, methods=["POST"]
    )


def show_processes() -> ResponseReturnValue:
    seen = glance()
    with seen.reading() as connection:
        found = queries.running_jobs(connection)
        elsewhere = supervisors_elsewhere(connection)
    silent = {item.name for item in elsewhere if not item.is_heard_of}
    hosts = others(elsewhere, seen.now)
    table = running_table(found, silent, seen.state.redactor, seen.state.settings.kill_grace, seen.now)
    runs = machine(seen.state, local_pids(found), seen.now, elsewhere)
    # What a process uses is on no row: so the tag is made of what is shown, but for the words of the clock.
    started = [fact.moment.iso for fact in runs.supervisor if fact.moment]
    texts = [[fact.text for fact in facts] for facts in (runs.supervisor, runs.fork_server)]
    others_shown = [(row.host, row.process, row.processes, row.words) for row in hosts]
    tag = seen.tag(table, texts, started, runs.absence, others_shown, csrf_token())
    if htmx.is_shown_already(tag):
        return htmx.not_modified(tag)
    return htmx.page_or_partial("processes", tag, table=table, machine=runs, hosts=hosts, health=seen.health)


def act_on_process(job_id: str, action: str) -> ResponseReturnValue:
    actions.ON_A_JOB[action](app_state(), number_of_job(job_id), who())
    return show_processes() if htmx.wants_partial() else redirect(url_for(".processes"), 303)
