"""Actions on several jobs at once: who may, which jobs, what is asked first, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import g
from pages import parsed
from sites import Site
from werkzeug.test import TestResponse

from bgjobs import ExampleJob, bulk, run_background_job
from bgjobs.bulk import BulkAction, dispatch
from bgjobs.dashboard.jobs import choices
from bgjobs.dashboard.shared import Shared
from bgjobs.exceptions import ClassNotApproved, JobNotFound
from bgjobs.models import STATUSES

ENDS = {"retry": "pending", "cancel": "cancelled"}


@pytest.fixture(autouse=True)
def counts_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "shared", Shared(seconds=0.0))


def act(
    site: Site, action: str, ids: Any = (), *, address: str = "/dashboard/jobs", **fields: Any
) -> TestResponse:
    """What the form of the list sends, with a token of its page."""
    client = site.client()
    page = parsed(client.get(address).text)
    sent = {
        field: page.one("input", id=f"bulk-{name}").attributes["value"]
        for name, field in (("token", "csrf_token"), ("query", "query"), ("number", "count"))
    }
    data = {**sent, "confirmed": "yes", **fields, "job": list(map(str, ids)), "action": action}
    return client.post("/dashboard/bulk", data=data)


def said(site: Site, response: TestResponse) -> str:
    assert response.status_code == 303, response.text
    return parsed(site.get(response.location).text).one("div", id="answer").words


def is_there(site: Site, job_id: int) -> bool:
    try:
        return site.row(job_id) is not None
    except JobNotFound:
        return False


# -- a selection -------------------------------------------------------------------------------------

WHAT_COMES = {
    "retry": {"failed": "pending", "cancelled": "pending"},
    "cancel": {"pending": "cancelled", "running": "running"},
    "delete": {"completed": None, "failed": None, "cancelled": None},
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("action", WHAT_COMES)
def test_each_action_on_each_status(site: Site, action: str, status: str) -> None:
    (job_id,) = site.dispatch_many(1, status=status)
    words = said(site, act(site, action, [job_id]))
    expected = WHAT_COMES[action].get(status, status)
    assert is_there(site, job_id) is (expected is not None)
    if expected is not None:
        assert site.row(job_id).status == expected
    assert words.startswith("1 " if status in WHAT_COMES[action] else "0 ")
    if status == "running":
        assert (site.row(job_id).cancel_requested_at is not None) is (action == "cancel")


def test_the_answer_counts_what_was_done_and_what_was_not(site: Site) -> None:
    failed, (done,) = site.dispatch_many(2, status="failed"), site.dispatch_many(1, status="completed")
    words = said(site, act(site, "retry", [*failed, done, 999, failed[0]]))
    assert words == "2 retried, 1 had neither failed nor been cancelled, 1 was not there any more."


def test_each_job_tells_who_did_it(make_site: Callable[..., Site]) -> None:
    def access(request: Any) -> str:
        g.bgjobs_user = "ada"
        return "all"

    site = make_site(BGJOBS_DASHBOARD_ACCESS=access)
    ids = site.dispatch_many(2, status="failed")
    act(site, "retry", ids)
    for job_id in ids:
        assert site.messages(job_id)[-1] == ("info", "Retried on the dashboard by ada")
    act(site, "cancel", ids)
    for job_id in ids:
        assert site.messages(job_id)[-1] == ("info", "Cancelled on the dashboard by ada")
    act(site, "delete", ids)
    log = Path(str(site.state.settings.log_dir), "background_jobs.log").read_text()
    for job_id in ids:
        assert f"Background job {job_id} removed by ada on the dashboard" in log


def test_the_way_back_keeps_the_filters(site: Site) -> None:
    ids = site.dispatch_many(3, status="failed")
    response = act(site, "retry", ids[:1], address="/dashboard/jobs?state=failed&per_page=25")
    assert response.location == "/dashboard/jobs?state=failed&per_page=25&result=retry-1-0-0"


def test_nothing_selected_is_said(site: Site) -> None:
    site.dispatch()
    assert said(site, act(site, "cancel")) == "No job was selected, so nothing was changed."


def test_numbers_that_are_none_are_left_out(site: Site) -> None:
    (job_id,) = site.dispatch_many(1)
    odd = ["abc", "-1", "0", "", "1e3", "9" * 400, "1;drop", "١", "\x00", "99999999999999999", f" {job_id}"]
    assert said(site, act(site, "cancel", odd)) == "0 cancelled or asked to stop, 1 was not there any more."
    assert site.row(job_id).status == "pending"


@pytest.mark.parametrize("number", [101, 10_000])
def test_more_than_a_page_one_by_one_are_refused(site: Site, number: int) -> None:
    (job_id,) = site.dispatch_many(1)
    response = act(site, "cancel", range(job_id, job_id + number))
    assert response.status_code == 400
    assert "Nothing was changed" in response.text
    assert site.row(job_id).status == "pending"


def test_a_hundred_are_done_in_the_request(site: Site) -> None:
    ids = site.dispatch_many(100)
    assert said(site, act(site, "cancel", ids)) == "100 cancelled or asked to stop."
    assert {site.row(job_id).status for job_id in ids} == {"cancelled"}


# -- who may -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["retry", "cancel", "delete", "kill", "edit", "", "RETRY", "retry\x00"])
@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize(
    "allowed",
    ["all", "read", {"retry"}, {"cancel"}, {"delete"}, {"kill", "edit", "pause", "queues"}],
    ids=lambda it: it if isinstance(it, str) else "+".join(sorted(it)),
)
def test_each_action_takes_its_own_right(
    make_site: Callable[..., Site], allowed: Any, action: str, everything: bool
) -> None:
    rights: list[Any] = ["all"]
    site = make_site(BGJOBS_DASHBOARD_ACCESS=lambda request: rights[-1])
    (job_id,) = site.dispatch_many(1, status="running" if action == "cancel" else "failed")
    client = site.client()
    token = parsed(client.get("/dashboard/jobs").text).one("input", id="bulk-token").attributes["value"]
    rights.append(allowed)
    data = {"csrf_token": token, "action": action, "confirmed": "yes", "job": job_id, "count": "1"}
    response = client.post("/dashboard/bulk", data={**data, **({"all": "1"} if everything else {})})
    may = allowed == "all" or (isinstance(allowed, set) and action in allowed)
    known = action in WHAT_COMES
    assert response.status_code == ((303 if known else 400) if may else 403)
    if not may or not known:
        untouched = site.row(job_id)
        assert (untouched.status, untouched.cancel_requested_at) in {("running", None), ("failed", None)}
        assert not is_there(site, job_id + 1)
    assert is_there(site, job_id + 1) is (may and known and everything)


@pytest.mark.parametrize("token", [None, "", "A" * 43])
@pytest.mark.parametrize("everything", [{}, {"all": "1"}])
def test_without_the_token_nothing_is_done(site: Site, token: str | None, everything: dict[str, str]) -> None:
    (job_id,) = site.dispatch_many(1)
    client = site.client()
    client.get("/dashboard/jobs")
    data = {"action": "cancel", "job": job_id, "confirmed": "yes", **everything}
    response = client.post("/dashboard/bulk", data=data if token is None else {**data, "csrf_token": token})
    assert response.status_code == 403
    assert site.row(job_id).status == "pending"


def test_a_foreign_page_does_nothing(site: Site) -> None:
    (job_id,) = site.dispatch_many(1)
    client = site.client()
    token = parsed(client.get("/dashboard/jobs").text).one("input", id="bulk-token").attributes["value"]
    data = {"csrf_token": token, "action": "cancel", "job": job_id, "confirmed": "yes"}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post("/dashboard/bulk", data=data, headers=headers).status_code == 403
    assert site.row(job_id).status == "pending"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_the_address_does_nothing(site: Site, method: str) -> None:
    (job_id,) = site.dispatch_many(1)
    response = site.client().open(f"/dashboard/bulk?action=cancel&job={job_id}&confirmed=yes", method=method)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert site.row(job_id).status == "pending"


# -- asked back --------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["cancel", "delete"])
def test_who_has_no_script_is_asked_by_a_page(site: Site, action: str) -> None:
    ids = site.dispatch_many(2, status="failed" if action == "delete" else "pending")
    response = act(site, action, ids, confirmed="")
    page = parsed(response.text)
    assert response.status_code == 200
    assert page.one("h1").words == f"{action.capitalize()} 2 jobs?"
    assert [is_there(site, job_id) for job_id in ids] == [True, True]
    fields = [
        (str(field.attributes["name"]), str(field.attributes.get("value") or ""))
        for field in page.one("main").one("form").all("input")
    ]
    client = site.client()
    client.set_cookie("bgjobs_csrf", dict(fields)["csrf_token"], path="/dashboard")
    again = client.post(
        "/dashboard/bulk", data=urlencode(fields), content_type="application/x-www-form-urlencoded"
    )
    assert said(site, again).startswith("2 ")


@pytest.mark.parametrize("typed", ["", "yes", "120", "122", "121 jobs", "1210"])
@pytest.mark.parametrize("action", ["retry", "cancel", "delete"])
def test_more_than_a_hundred_have_to_be_typed(site: Site, action: str, typed: str) -> None:
    ids = site.dispatch_many(121, status="failed")
    response = act(site, action, confirmed=typed, all="1")
    assert response.status_code == 200
    assert "Type 121 to go on" in parsed(response.text).one("main").words
    assert not is_there(site, ids[-1] + 1)


# -- all that match ----------------------------------------------------------------------------------


def frozen(site: Site, response: TestResponse) -> Any:
    assert response.status_code == 303, response.text
    job = site.row(int(response.location.rpartition("/")[2]))
    assert (job.class_name, job.method_name) == ("bgjobs.bulk.BulkAction", "run")
    return job


def test_all_that_match_now_are_frozen(site: Site) -> None:
    failed = site.dispatch_many(12, status="failed")
    site.dispatch_many(3)
    job = frozen(site, act(site, "delete", all="1", address="/dashboard/jobs?state=failed&before=4"))
    assert job.parameters == {"action": "delete", "job_ids": failed[::-1], "by": None}
    assert (job.status, job.queue, job.priority, job.max_retries) == ("pending", "bgjobs", -1000, 0)
    assert all(is_there(site, job_id) for job_id in failed)


def test_never_more_than_the_reader_was_told_of(site: Site) -> None:
    ids = site.dispatch_many(5, status="failed")
    job = frozen(site, act(site, "delete", all="1", count="3"))
    assert job.parameters["job_ids"] == ids[:1:-1]


@pytest.mark.parametrize("count", ["", "0", "x", "-5", "99999999999", "1001"])
def test_no_more_than_the_limit(site: Site, monkeypatch: pytest.MonkeyPatch, count: str) -> None:
    for module in ("bulk", "dashboard.jobs.selection"):
        monkeypatch.setattr(f"bgjobs.{module}.BULK_LIMIT", 7)
    ids = site.dispatch_many(9, status="failed")
    job = frozen(site, act(site, "delete", all="1", count=count))
    assert job.parameters["job_ids"] == ids[:1:-1]


@pytest.mark.parametrize(
    "query", ["state=exploded", "&&&", "%ff=%fe", "a" * 5000, "q=zebra", "a=1&" * 50, "top=1"]
)
def test_a_query_that_somebody_made_up(site: Site, query: str) -> None:
    site.dispatch_many(2)
    response = act(site, "cancel", all="1", query=query, count="1000", confirmed="1000")
    assert response.status_code == 303


def test_filters_that_match_nothing(site: Site) -> None:
    site.dispatch_many(2)
    response = act(site, "cancel", all="1", query="queue=nope", count="2")
    assert said(site, response) == "No job was selected, so nothing was changed."


def test_a_full_queue_does_not_stand_in_the_way(make_site: Callable[..., Site]) -> None:
    site = make_site(BGJOBS_MAX_PENDING=3)
    ids = site.dispatch_many(3)
    job = frozen(site, act(site, "cancel", all="1"))
    assert job.parameters["job_ids"] == ids[::-1]


# -- the job that does it ----------------------------------------------------------------------------


def run_all(site: Site, action: str, ids: list[int], by: str | None = None) -> Any:
    with site.app.app_context():
        return site.row(dispatch(site.state, action, ids, by))


@pytest.fixture
def inline(make_site: Callable[..., Site]) -> Site:
    return make_site(BGJOBS_BACKEND="inline")


def test_it_is_done_in_chunks_with_progress(inline: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 5)
    ids = inline.dispatch_many(12, status="failed")
    (running,) = inline.dispatch_many(1, status="running")
    job = run_all(inline, "delete", [*ids, running, 999], "ada")
    assert (job.status, job.result) == ("completed", {"done": 12, "too_late": 1, "gone": 1})
    assert (job.progress_done, job.progress_total) == (14, 14)
    assert job.progress_message == "12 deleted, 1 has not ended, 1 was not there any more"
    assert not any(is_there(inline, job_id) for job_id in ids)


def test_retried_jobs_run(inline: Site) -> None:
    ids = inline.dispatch_many(3, status="failed")
    job = run_all(inline, "retry", ids, "ada")
    assert job.result == {"done": 3, "too_late": 0, "gone": 0}
    for job_id in ids:
        assert inline.row(job_id).status == "completed"
        assert ("info", "Retried on the dashboard by ada") in inline.messages(job_id)


def test_who_cancels_it_stops_it_between_two_chunks(inline: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 2)
    ids = inline.dispatch_many(6, status="failed")
    of_one = bulk.act

    def and_then_somebody_cancels(state: Any, action: str, job_ids: list[int], by: str | None) -> Any:
        tally = of_one(state, action, job_ids, by)
        inline.state.store.cancel(ids[-1] + 1)
        return tally

    monkeypatch.setattr(bulk, "act", and_then_somebody_cancels)
    monkeypatch.setattr("bgjobs.backends.inline._LOOK_INTERVAL", 0.0)
    job = run_all(inline, "delete", ids)
    assert job.status == "cancelled"
    assert [is_there(inline, job_id) for job_id in ids] == [False, False, True, True, True, True]


def test_nobody_can_dispatch_it_by_its_name(site: Site) -> None:
    (job_id,) = site.dispatch_many(1, status="failed")
    parameters = {"action": "delete", "job_ids": [job_id], "by": None}
    with site.app.app_context():
        for name in ("bgjobs.bulk.BulkAction", BulkAction):
            with pytest.raises(ClassNotApproved):
                run_background_job(name, "run", parameters)
        assert "bgjobs.bulk.BulkAction" not in site.state.approval.classes
        site.state.approval.add([ExampleJob])
        with pytest.raises(ClassNotApproved):
            run_background_job("bgjobs.bulk.BulkAction", "run", parameters)
    assert is_there(site, job_id)


def test_who_may_retry_cannot_have_it_delete_again(make_site: Callable[..., Site]) -> None:
    rights: list[Any] = ["all"]
    site = make_site(BGJOBS_BACKEND="inline", BGJOBS_DASHBOARD_ACCESS=lambda request: rights[-1])
    ids = site.dispatch_many(2, status="running")
    job = run_all(site, "delete", ids)
    assert job.result["too_late"] == 2
    for job_id in ids:
        site.change(job_id, status="failed")
    site.change(job.id, status="failed")
    rights.append({"retry"})
    act(site, "retry", [job.id])
    again = site.row(job.id)
    assert (again.status, again.error_message.partition(".")[0]) == (
        "failed",
        "RuntimeError: An action on many jobs is not repeated",
    )
    assert all(is_there(site, job_id) for job_id in ids)


@pytest.mark.parametrize(
    "parameters",
    [
        {"action": "drop", "job_ids": [1]},
        {"action": "delete", "job_ids": ["1; DROP TABLE background_jobs", None, -1, 10**18]},
        {"action": "delete", "job_ids": "1"},
        {"action": ["delete"], "job_ids": [1]},
        {"action": "retry", "job_ids": {"1": 1}},
    ],
)
def test_a_row_that_somebody_edited_harms_nobody(inline: Site, parameters: Any) -> None:
    (victim,) = inline.dispatch_many(1, status="failed")
    with inline.app.app_context():
        job_id = dispatch(inline.state, "cancel", [], None)
    inline.change(job_id, parameters=parameters, status="pending", attempt=0)
    inline.state.backend.dispatched([job_id])
    assert inline.row(job_id).status in ("failed", "completed")
    assert inline.row(victim).status == "failed"
