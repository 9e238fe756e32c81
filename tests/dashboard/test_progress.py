"""The progress of one job for somebody who may not see the dashboard: a signed address decides what is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import render_template_string
from pages import Element, parsed
from sites import PARTIAL, Site

from bgjobs import ExampleJob, run_background_job
from bgjobs.dashboard.progress.ticket import LASTS, NoTicket, OldTicket, Ticket, ticket_of, token_of
from bgjobs.exceptions import ConfigurationError
from bgjobs.models import Unreadable

JSON = {"Accept": "application/json"}
MACRO = '{% from "bgjobs/progress.html" import bgjobs_progress %}{{ bgjobs_progress(job, result=result) }}'
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A dashboard that is closed to everybody, and a page of the host's that shows a job."""
    return with_a_page(make_site(SECRET_KEY="a key", BGJOBS_DASHBOARD_ACCESS=None))


def with_a_page(site: Site) -> Site:
    def show(job_id: int, result: int) -> str:
        return render_template_string(MACRO, job=job_id, result=bool(result))

    site.app.add_url_rule("/orders/<int:job_id>/<int:result>", view_func=show)
    return site


def box(html: str) -> Element:
    return parsed(html).one("div", class_="bgjobs-progress")


def address(site: Site, job_id: int, *, result: bool = False) -> str:
    """Where the page of the host asks for the progress of a job."""
    return str(box(site.get(f"/orders/{job_id}/{int(result)}").text).attributes["data-bgjobs-progress"])


def words(element: Element, name: str) -> str:
    found = [it for tag in ("b", "span", "p", "pre") for it in element.all(tag, data_words=name)]
    return found[0].words


def run(site: Site, job_id: int, **values: Any) -> None:
    site.change(job_id, **{"status": "running", "progress_done": 3, "progress_total": 9, **values})


# -- tokens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ticket", [Ticket(1), Ticket(7, True), Ticket(2**62)])
def test_a_token_is_the_ticket_it_was_made_of(site: Site, ticket: Ticket) -> None:
    token = token_of(site.state, ticket)
    assert re.fullmatch(r"[\w.-]+", token)
    assert ticket_of(site.state, token) == ticket


def test_what_was_changed_in_a_token_is_noticed(site: Site) -> None:
    token, other = token_of(site.state, Ticket(1)), token_of(site.state, Ticket(2))
    payload, stamp, signature = token.split(".")
    forged = [
        f"{other.split('.')[0]}.{stamp}.{signature}",
        f"{payload}.{stamp}",
        payload,
        "",
        ".",
        "..",
        token[:-2],
    ]
    forged += [f"{payload}.{stamp}.{signature}x", "é", "\x00", "9" * 5000]
    for text in forged:
        with pytest.raises(NoTicket):
            ticket_of(site.state, text)


def test_a_token_of_another_key_or_another_database_is_none(make_site: Callable[..., Site], site: Site) -> None:
    token = token_of(site.state, Ticket(1))
    for other in (make_site(SECRET_KEY="another key"), make_site(SECRET_KEY="a key"), make_site()):
        with pytest.raises(NoTicket):  # the second one has the same key, and its job 1 is another job
            ticket_of(other.state, token)


def test_a_key_that_was_changed_is_known_for_a_while(site: Site) -> None:
    token = token_of(site.state, Ticket(1))
    site.app.config.update(SECRET_KEY="a new key", SECRET_KEY_FALLBACKS=["a key"])
    assert ticket_of(site.state, token) == Ticket(1)
    assert token_of(site.state, Ticket(1)) != token


def test_a_token_becomes_old(site: Site) -> None:
    job_id = site.dispatch()
    place = address(site, job_id)
    token = place.rpartition("/")[2]
    for seconds, is_old in ((LASTS - 60, False), (LASTS + 60, True)):
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=False):
            if is_old:
                with pytest.raises(OldTicket):
                    ticket_of(site.state, token)
                answer = site.get(place, headers=JSON)
                assert (answer.status_code, answer.json["status"], answer.json["is_over"]) == (410, "old", True)  # type: ignore[index]
                fragment = site.get(place, headers=PARTIAL)
                assert fragment.status_code == 200  # so that it is swapped in, and the asking ends
                assert "hx-get" not in fragment.text
            else:
                assert site.get(place, headers=JSON).status_code == 200


def test_without_a_key_nothing_is_signed_and_nothing_is_answered(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        token_of(site.state, Ticket(1))
    assert site.get("/dashboard/progress/x").status_code == 404


# -- what is told ------------------------------------------------------------------------------------


def test_who_may_not_see_the_dashboard_sees_this_job(site: Site) -> None:
    job_id, other = site.dispatch(), site.dispatch()
    run(site, job_id, progress_message="row 3")
    assert site.get(f"/dashboard/jobs/{job_id}").status_code == 403
    told = site.get(address(site, job_id), headers=JSON)
    assert told.json == {
        "id": job_id,
        "status": "running",
        "is_over": False,
        "percent": 33,
        "message": "row 3",
        "error": None,
        "result": None,
        "words": {"state": "Running", "numbers": "3 of 9", "message": "row 3", "error": "", "result": ""},
    }
    assert told.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in told.headers
    assert address(site, other) != address(site, job_id)


@pytest.mark.parametrize("result", [False, True])
@pytest.mark.parametrize("status", ["completed", "failed"])
def test_result_and_error_only_where_the_page_wanted_them(site: Site, status: str, result: bool) -> None:
    job_id = site.dispatch()
    place = address(site, job_id, result=result)
    site.change(job_id, status=status, error_message="the canary died", result={"canary": 1})
    answers = [site.get(place, headers=headers).text for headers in (JSON, PARTIAL, BROWSER)] + [
        site.get(f"/orders/{job_id}/{int(result)}").text
    ]
    for text in answers:
        assert ("the canary died" in text) is result
        assert ("canary&#34;: 1" in text or '"canary": 1' in text or '"canary":1' in text) is result
        assert "ExampleJob" not in text
        assert "parameters" not in text


def test_the_result_stays_a_value_for_programs(site: Site) -> None:
    job_id = site.dispatch()
    place = address(site, job_id, result=True)
    site.change(job_id, status="completed", result={"number": 2**60 + 1, "password": "hush-hush"})
    told = site.get(place, headers=JSON).json
    assert told is not None
    assert told["result"] == {"number": 2**60 + 1, "password": "••••••"}
    assert "hush" not in told["words"]["result"]
    assert told["percent"] == 100


@pytest.mark.parametrize(
    ("values", "status", "state", "is_over"),
    [
        ({"retry_count": 0}, "pending", "Pending", False),
        ({"retry_count": 1}, "pending", "Retrying", False),
        ({"scheduled_at": datetime.now(UTC) + timedelta(days=1)}, "pending", "Scheduled", False),
        ({"status": "running"}, "running", "Running", False),
        ({"status": "completed"}, "completed", "Completed", True),
        ({"status": "failed"}, "failed", "Failed", True),
        ({"status": "cancelled"}, "cancelled", "Cancelled", True),
        ({"status": '"><b>'}, "unknown", '"><b>', False),
    ],
)
def test_states(site: Site, values: dict[str, Any], status: str, state: str, is_over: bool) -> None:
    job_id = site.dispatch()
    place = address(site, job_id)
    site.change(job_id, **values)
    for text in (site.get(place, headers=PARTIAL).text, site.get(place, headers=BROWSER).text):
        shown = box(text)
        assert words(shown, "state") == state
        assert shown.attributes["data-status"] == status
        assert ("hx-get" not in shown.attributes) is is_over
        assert ("data-bgjobs-progress" not in shown.attributes) is is_over
    assert site.get(place, headers=JSON).json["is_over"] is is_over  # type: ignore[index]


def test_a_job_that_was_removed(site: Site) -> None:
    job_id = site.dispatch()
    place = address(site, job_id)
    site.execute("DELETE FROM background_jobs")
    told = site.get(place, headers=JSON)
    assert (told.status_code, told.json["status"], told.json["is_over"]) == (404, "gone", True)  # type: ignore[index]
    fragment = site.get(place, headers=PARTIAL)
    assert (fragment.status_code, words(box(fragment.text), "state")) == (200, "No longer known")
    assert site.get(place, headers=BROWSER).status_code == 404


def test_a_database_that_does_not_answer_breaks_no_page_of_the_host(site: Site) -> None:
    job_id = site.dispatch()
    place = address(site, job_id)
    site.state.store.database.dispose()
    for suffix in ("-wal", "-shm"):
        Path(site.app.instance_path, f"app.db{suffix}").unlink(missing_ok=True)
    Path(site.app.instance_path, "app.db").write_bytes(b"this is no database" * 1000)
    assert site.get(f"/orders/{job_id}/1").status_code == 200
    fragment = site.get(place, headers=PARTIAL)
    assert (fragment.status_code, words(box(fragment.text), "state")) == (200, "Not known at the moment")
    assert "hx-get" in fragment.text  # it asks again
    assert site.get(place, headers=JSON).status_code == 503


def test_a_forged_address_is_not_found_in_any_form(site: Site) -> None:
    site.dispatch()
    for headers in (JSON, PARTIAL, BROWSER):
        for token in ("x", "1", "../jobs/1", "WzEsMV0.aaaa.bbbb"):
            assert site.get(f"/dashboard/progress/{token}", headers=headers).status_code == 404
    assert site.client().post(address(site, 1)).status_code == 405


HOSTILE: dict[str, Any] = {
    "class_name": "<b>x</b>",
    "status": "running",
    "progress_done": "much",
    "progress_total": "<b>",
    "progress_message": '"><script>alert(1)</script>\x1b[31m\u202e',
    "error_message": "<img src=x onerror=alert(1)>",
    "result": Unreadable("{not json"),
}


@pytest.mark.parametrize("status", ["running", "failed"])
def test_hostile_rows_are_text(site: Site, status: str) -> None:
    job_id = site.dispatch(parameters={"password": "hush-hush"})
    place = address(site, job_id, result=True)
    columns = ", ".join(f"{name} = :{name}" for name in HOSTILE)
    values = {**HOSTILE, "status": status, "result": "{not json", "progress_message": "hush-hush <script>\x1b[31m"}
    site.execute(f"UPDATE background_jobs SET {columns}", **values)
    for headers in (PARTIAL, BROWSER):
        text = site.get(place, headers=headers).text
        assert "<img" not in text
        assert "<script>" not in text.replace("<script defer", "")
        assert "\x1b" not in text
        assert "hush-hush" not in text
    assert site.get(place, headers=JSON).status_code == 200


def test_nothing_in_a_box_needs_a_weaker_policy(site: Site) -> None:
    job_id = site.dispatch()
    run(site, job_id)
    text = site.get(f"/orders/{job_id}/1").text
    assert not re.search(r"<style|style=|\son\w+=|hx-on|js:|javascript:", text)
    assert re.findall(r"<script[^>]*>([^<]*)</script>", text) == [""]
    assert re.search(r'hx-trigger="every 1s"', text)  # no filter, which would have to be evaluated


# -- the answer 202 ----------------------------------------------------------------------------------


def accept(site: Site, **options: Any) -> Any:
    def order() -> Any:
        return run_background_job(ExampleJob, "run", {"to": "ada"}).accepted(**options)

    site.app.add_url_rule("/orders", view_func=order, methods=["POST"])
    return site.client()


@pytest.mark.parametrize(
    ("headers", "kind"),
    [({}, "application/json"), (JSON, "application/json"), (BROWSER, "text/html"), (PARTIAL, "text/html")],
)
def test_accepted_as_the_request_wants_it(site: Site, headers: dict[str, str], kind: str) -> None:
    client = accept(site)
    answer = client.post("/orders", headers=headers)
    assert (answer.status_code, answer.mimetype) == (202, kind)
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.get(answer.location, headers=JSON).json["status"] == "pending"
    if headers is PARTIAL:
        assert "<html" not in answer.text
        assert box(answer.text).attributes["hx-get"] == answer.location
        assert "progress.css" in answer.text
    elif kind == "text/html":
        assert "<html" in answer.text
    else:
        assert answer.json["id"] == 1


@pytest.mark.parametrize("result", [False, True])
def test_accepted_with_a_result_or_without(site: Site, result: bool) -> None:
    client = accept(site, result=result)
    location = client.post("/orders").location
    site.change(1, status="completed", result="the canary")
    assert (client.get(location, headers=JSON).json["result"] == "the canary") is result


def test_accepted_before_the_commit(site: Site) -> None:
    """The page is made in the transaction that stores the job: nobody can see the row yet."""
    with site.app.test_request_context():
        db = site.state.db
        assert db is not None
        job = run_background_job(ExampleJob, "run", session=db.session)
        answer = job.accepted()
        assert (answer.status_code, answer.json["status"]) == (202, "pending")  # type: ignore[index]
        assert "Pending" in render_template_string(MACRO, job=job, result=False)
        db.session.commit()
    assert site.get(answer.location, headers=JSON).status_code == 200


def test_accepted_without_a_key_says_what_to_set(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with site.app.test_request_context(), pytest.raises(ConfigurationError, match="Set SECRET_KEY"):
        run_background_job(ExampleJob, "run").accepted()


def test_a_handle_will_do_as_well_as_a_number(site: Site) -> None:
    with site.app.test_request_context():
        job = run_background_job(ExampleJob, "run")
        assert words(box(render_template_string(MACRO, job=job, result=False)), "state") == "Pending"


def test_fits_below_a_prefix_and_another_address(make_site: Callable[..., Site]) -> None:
    site = with_a_page(make_site(SECRET_KEY="k", BGJOBS_DASHBOARD_URL="/admin/jobs"))
    job_id = site.dispatch()
    text = site.get(f"/orders/{job_id}/0", base_url="http://localhost/app").text
    assert str(box(text).attributes["data-bgjobs-progress"]).startswith("/app/admin/jobs/progress/")
