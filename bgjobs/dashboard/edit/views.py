"""The form with the parameters of a job, and the new job that is made of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Row

from bgjobs.app_state import AppState, app_state
from bgjobs.approval import JobCall
from bgjobs.dashboard.access import check_may, who
from bgjobs.dashboard.addresses import number_of_job, whole_number
from bgjobs.dashboard.edit.again import RetriedMeanwhile, check_ended, newest_job, retry_with
from bgjobs.dashboard.edit.fields import ALL, Field, fields_of, left_out
from bgjobs.dashboard.edit.reading import read
from bgjobs.dashboard.formats import line
from bgjobs.dashboard.problems import Problem, Refused
from bgjobs.dashboard.said import about, go_to
from bgjobs.exceptions import ClassNotApproved, InvalidParameters, JobRunnerException, MethodNotApproved, QueueFull
from bgjobs.lookups import job_row


def add_to(blueprint: Blueprint) -> None:
    # "edit" is the right that a request to this address needs.
    blueprint.add_url_rule("/jobs/<job_id>/edit", "edit", edit_job, methods=["GET"])
    blueprint.add_url_rule("/jobs/<job_id>/<any(edit):action>", "edited", retry_edited, methods=["POST"])


def edit_job(job_id: str) -> ResponseReturnValue:
    check_may("edit")
    state = app_state()
    row, newest, call = _to_edit(state, job_id)
    return _form(row.id, call, fields_of(call, state.redactor), newest)


def retry_edited(job_id: str, action: str) -> ResponseReturnValue:
    state = app_state()
    row, newest, before = _to_edit(state, job_id)
    parameters, fields = read(fields_of(before, state.redactor), request.form, before, state.redactor)
    if parameters is None:
        return _form(row.id, before, fields, newest, refused="Correct what is marked, then send it again.")
    try:
        call = state.approval.call(before.class_name, before.method_name, parameters)
        made = retry_with(state, row, call, who(), seen_up_to=whole_number(request.form.get("newest")))
    except RetriedMeanwhile as news:
        said = f"{news} Send the form once more if you want another one."
        return _form(row.id, before, fields, newest, refused=said)
    except (InvalidParameters, ClassNotApproved, MethodNotApproved, QueueFull) as refusal:
        return _form(row.id, before, _beside(fields, refusal), newest, refused=line(refusal))
    return go_to(url_for(".job", job_id=made), about("edit", made))


def _to_edit(state: AppState, job_id: str) -> tuple[Row[Any], int, JobCall]:
    """The row of an ended job, the newest job there is, and the call. Raises :class:`Refused`, and as
    :func:`check_ended` does."""
    with state.store.database.reading() as connection:
        row, newest = job_row(connection, number_of_job(job_id)), newest_job(connection)
    check_ended(row)
    try:
        return row, newest, _call(state, row)
    except JobRunnerException as refusal:
        raise Refused(_not_editable(row.id, refusal)) from refusal


def _call(state: AppState, row: Row[Any]) -> JobCall:
    """The call of the row. Its parameters need not fit any more: that is what the form is for. Raises
    :class:`ClassNotApproved` also for a class of our own, whose jobs other rights than this one make."""
    if row.class_name not in state.approval.classes:
        raise ClassNotApproved(str(row.class_name))
    try:
        return state.approval.call_of_row(row.class_name, row.method_name, row.parameters or {})
    except InvalidParameters:
        return state.approval.call_of_row(row.class_name, row.method_name, {})


def _form(job_id: int, call: JobCall, fields: list[Field], newest: int, refused: str = "") -> ResponseReturnValue:
    page = render_template(
        "bgjobs/edit/page.html",
        job_id=job_id,
        name=f"{line(call.class_name)}::{line(call.method_name)}",
        doc=line(call.method.doc.partition("\n")[0]),
        fields=fields,
        left_out=left_out(call, fields),
        newest=newest,
        refused=refused,
    )
    return make_response(page, 422 if refused else 200)


def _beside(fields: list[Field], refusal: JobRunnerException) -> list[Field]:
    """The fields with a refusal at the one that it is about, where it is about one."""
    path = refusal.path if isinstance(refusal, InvalidParameters) else ""
    about_it = path.removeprefix("parameters.").partition(".")[0].partition("[")[0]
    return [
        replace(field, error=line(refusal)) if field.name == about_it or (field.name == ALL and path) else field
        for field in fields
    ]


def _not_editable(job_id: int, refusal: JobRunnerException) -> Problem:
    return Problem(409, "It cannot be run again", f"Job #{job_id} cannot be run again as it is: {line(refusal)}")
