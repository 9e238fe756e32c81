"""What can be done with one job: who may, when it makes sense, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import g
from pages import parsed
from pressing import HTMX, OURS, buttons, main_of, post, token_for
from sites import Site

from bgjobs.dashboard.access import ACTIONS
from bgjobs.dashboard.actions import ON_A_JOB

NOW = datetime.now(UTC)
RUNNING = {"status": "running", "started_at": NOW, "backend": "local"}
STATES = {
    "pending": {"status": "pending"},
    "running": RUNNING,
    "inline": {**RUNNING, "backend": "inline"},
    "paused": {**RUNNING, "paused_at": NOW},
    "stopping": {**RUNNING, "cancel_requested_at": NOW},
    "dying": {**RUNNING, "cancel_requested_at": NOW, "kill_requested_at": NOW},
    "completed": {"status": "completed", "completed_at": NOW},
    "failed": {"status": "failed", "completed_at": NOW},
    "cancelled": {"status": "cancelled", "completed_at": NOW},
    "unknown": {"status": "\x1b[2J"},
}
OFFERED = {
    "pending": {"Cancel"},
    "running": {"Cancel", "Pause", "Kill…"},
    "inline": {"Cancel"},
    "paused": {"Cancel", "Resume", "Kill…"},
    "stopping": {"Kill…"},
    "dying": set(),
    "completed": {"Edit and run again…", "Delete…"},
    "failed": {"Retry", "Edit and retry…", "Delete…"},
    "cancelled": {"Retry", "Edit and retry…", "Delete…"},
    "unknown": set(),
}
# In which states each of them is accepted; in all others it is too late, or too early.
ACCEPTED = {
    "retry": {"failed", "cancelled"},
    "undo": {"pending"},
    "cancel": {"pending", "running", "inline", "paused", "stopping", "dying"},
    "kill": {"running", "paused", "stopping", "dying"},
    "pause": {"running", "stopping", "dying"},
    "resume": {"paused"},
    "delete": {"completed", "failed", "cancelled"},
}
RIGHTS = {"undo": "cancel", "resume": "pause"}


def job_that_is(site: Site, state: str) -> int:
    job_id = site.dispatch(parameters={"to": "ada"})
    site.change(job_id, **STATES[state])
    return job_id


@pytest.mark.parametrize("state", STATES)
def test_offered_is_what_makes_sense(site: Site, state: str) -> None:
    page = main_of(site.client(), f"jobs/{job_that_is(site, state)}")
    assert set(buttons(page.one("div", class_="job-head"))) == OFFERED[state]


@pytest.mark.parametrize("right", [*sorted(ACTIONS), "read"])
def test_offered_is_what_is_allowed(make_site: Callable[..., Site], right: str) -> None:
    site = make_site(BGJOBS_DASHBOARD_ACCESS=lambda request: right if right == "read" else {right})
    found = set()
    for state in STATES:
        found |= set(
            buttons(main_of(site.client(), f"jobs/{job_that_is(site, state)}").one("div", class_="job-head"))
        )
    assert (
        found
        == {
            "retry": {"Retry"},
            "edit": {"Edit and retry…", "Edit and run again…"},
            "cancel": {"Cancel"},
            "kill": {"Kill…"},
            "pause": {"Pause", "Resume"},
            "delete": {"Delete…"},
            "queues": set(),
            "read": set(),
        }[right]
    )


@pytest.mark.parametrize("action", ON_A_JOB)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("headers", [OURS, HTMX], ids=["form", "htmx"])
def test_accepted_is_what_makes_sense(site: Site, action: str, state: str, headers: dict[str, str]) -> None:
    job_id, client = job_that_is(site, state), site.client()
    before, logs = site.row(job_id), len(site.messages(job_id))
    response = post(client, site, f"{job_id}/{action}", headers=headers)
    if state in ACCEPTED[action]:
        assert response.status_code == (200 if headers is HTMX else 303)
        return
    assert response.status_code == 409
    assert parsed(response.text).words.count(f"Job #{job_id} ") == 1
    assert site.row(job_id) == before
    assert len(site.messages(job_id)) == logs


@pytest.mark.parametrize("action", ON_A_JOB)
def test_each_needs_its_own_right_and_no_other(make_site: Callable[..., Site], action: str) -> None:
    rights: set[str] = {"cancel"}
    site = make_site(BGJOBS_DASHBOARD_ACCESS=lambda request: set(rights))
    client = site.client()
    token = token_for(client, site)
    state = next(state for state in STATES if state in ACCEPTED[action])
    own = RIGHTS.get(action, action)
    rights.clear()
    rights.update(ACTIONS - {own})
    job_id = job_that_is(site, state)
    before = site.row(job_id)
    assert post(client, site, f"{job_id}/{action}", token=token).status_code == 403
    assert site.row(job_id) == before
    rights.clear()
    rights.add(own)
    assert post(client, site, f"{job_id}/{action}", token=token).status_code == 303


@pytest.mark.parametrize("action", [*ON_A_JOB, "edit"])
def test_each_is_heard_from_our_own_pages_only(site: Site, action: str) -> None:
    state = next(state for state in STATES if state in ACCEPTED.get(action, {"failed"}))
    job_id, client = job_that_is(site, state), site.client()
    token, before = token_for(client, site), site.row(job_id)
    path = f"/dashboard/jobs/{job_id}/{action}"
    assert client.post(path, headers=OURS).status_code == 403
    assert client.post(path, data={"csrf_token": "A" * 43}, headers=OURS).status_code == 403
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client.post(path, data={"csrf_token": token}, headers=foreign).status_code == 403
    if action != "edit":
        assert client.get(path).status_code == 405
    assert site.row(job_id) == before


@pytest.mark.parametrize("job_id", ["0", "99", "x", "1e3", "9" * 30, "-1", "%00"])
@pytest.mark.parametrize("action", [*ON_A_JOB, "edit"])
def test_there_is_no_such_job(site: Site, action: str, job_id: str) -> None:
    assert post(site.client(), site, f"{job_id}/{action}").status_code == 404


def test_too_late_tells_when_it_ended(site: Site) -> None:
    job_id = site.dispatch()
    ended = datetime(2026, 11, 24, 12, 4, 30, tzinfo=UTC)
    site.change(job_id, status="completed", completed_at=ended)
    for action, done in (("cancel", "cancelled"), ("kill", "killed"), ("pause", "paused"), ("undo", "taken back")):
        text = parsed(post(site.client(), site, f"{job_id}/{action}", headers=HTMX).text).words
        assert f"Job #{job_id} already finished at 12:04:30 UTC; nothing was {done}." in text


# -- who did it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "state", "message"),
    [
        ("retry", "failed", "Retried on the dashboard by {by}"),
        ("undo", "pending", "Retry taken back on the dashboard by {by}"),
        ("cancel", "running", "Cancelled on the dashboard by {by}"),
        ("kill", "running", "Killed on the dashboard by {by}"),
        ("pause", "running", "Background job paused by {by} on the dashboard; its timeout stands still"),
        ("resume", "paused", "Background job resumed by {by} on the dashboard"),
    ],
)
@pytest.mark.parametrize(
    ("by", "shown"),
    [("ada", "ada"), ("a\x1b[31m\n<b>\u202e", "a\\x1b[31m\\x0a<b>\\u202e"), ("x" * 10_000, "x" * 150)],
)
def test_who_it_was_stands_in_the_story(
    make_site: Callable[..., Site], action: str, state: str, message: str, by: str, shown: str
) -> None:
    def access(request: Any) -> str:
        g.bgjobs_user = by
        return "all"

    site = make_site(BGJOBS_DASHBOARD_ACCESS=access)
    client, job_id = site.client(), job_that_is(site, state)
    assert post(client, site, f"{job_id}/{action}").status_code == 303
    kind, told = site.messages(job_id)[-1]
    begin, _, end = message.partition("{by}")
    assert kind == "info"
    assert told.startswith(begin + shown)
    assert len(by) > 1000 or told == begin + shown + end
    assert client.get(f"/dashboard/jobs/{job_id}").status_code == 200


def test_who_deleted_a_job_stands_in_the_log_file(make_site: Callable[..., Site]) -> None:
    def access(request: Any) -> str:
        g.bgjobs_user = "ada\n"
        return "all"

    site = make_site(BGJOBS_DASHBOARD_ACCESS=access)
    job_id = job_that_is(site, "failed")
    post(site.client(), site, f"{job_id}/delete")
    line = Path(site.state.settings.log_dir, "background_jobs.log").read_text().splitlines()[-1]
    assert "INFO" in line
    assert "ada\\x0a on the dashboard" in line


# -- what is said -------------------------------------------------------------------------------------------


def test_a_retry_can_be_taken_back(site: Site) -> None:
    job_id, client = job_that_is(site, "failed"), site.client()
    post(client, site, f"{job_id}/retry")
    answer = main_of(client, f"jobs/{job_id}").one("div", id="answer")
    assert answer.words == f"Job #{job_id} will run again. Undo"
    assert main_of(client, f"jobs/{job_id}").one("div", id="answer").words == ""  # it is said once
    undo = answer.one("form")
    assert undo.attributes["action"] == f"/dashboard/jobs/{job_id}/undo"
    token = str(undo.one("input").attributes["value"])
    assert post(client, site, f"{job_id}/undo", token=token).status_code == 303
    assert site.row(job_id).status == "cancelled"


def test_a_retry_that_has_begun_is_not_taken_back(site: Site) -> None:
    job_id, client = job_that_is(site, "failed"), site.client()
    post(client, site, f"{job_id}/retry")
    site.change(job_id, **RUNNING)
    response = post(client, site, f"{job_id}/undo")
    assert response.status_code == 409
    assert f"Job #{job_id} is running, so it cannot be taken back." in parsed(response.text).words
    assert site.row(job_id).cancel_requested_at is None


def test_who_may_not_cancel_is_not_offered_to_undo(make_site: Callable[..., Site]) -> None:
    rights = {"retry", "cancel"}
    site = make_site(BGJOBS_DASHBOARD_ACCESS=lambda request: set(rights))
    client, job_id = site.client(), job_that_is(site, "failed")
    token = token_for(client, site)
    rights.discard("cancel")
    for headers in (OURS, HTMX):
        site.change(job_id, status="failed")
        page = post(client, site, f"{job_id}/retry", token=token, headers=headers, follow_redirects=True)
        assert parsed(page.text).one("div", id="answer").words == f"Job #{job_id} will run again."


def test_by_htmx_the_answer_stands_beside_the_job(site: Site) -> None:
    job_id, client = job_that_is(site, "failed"), site.client()
    text = post(client, site, f"{job_id}/retry", headers=HTMX).text
    answer = parsed(text).one("div", id="answer")
    assert answer.attributes["hx-swap-oob"] == "innerHTML"
    assert answer.words == f"Job #{job_id} will run again. Undo"
    assert parsed(post(client, site, f"{job_id}/cancel", headers=HTMX).text).one("div", id="answer").words == ""


@pytest.mark.parametrize("headers", [OURS, HTMX], ids=["form", "htmx"])
def test_a_deleted_job_leaves_a_word_on_the_list(site: Site, headers: dict[str, str]) -> None:
    job_id, client = job_that_is(site, "completed"), site.client()
    token_for(client, site)
    site.add_attempt(job_id)
    output = Path(site.state.folder.output_file(job_id, 1))
    output.write_text("printed")
    response = post(client, site, f"{job_id}/delete", headers=headers)
    if headers is OURS:
        assert response.status_code == 303
        address = response.location
    else:
        assert (response.status_code, response.text) == (200, "")
        address = response.headers["HX-Redirect"]
    words = f"Job #{job_id} was deleted, with its logs and its output."
    assert words in parsed(client.get(address).text).one("main").words
    assert words not in parsed(client.get(address).text).words
    assert client.get(f"/dashboard/jobs/{job_id}").status_code == 404
    assert not output.exists()
    assert site.messages(job_id) == []
    assert post(client, site, f"{job_id}/delete").status_code == 404  # a second click


@pytest.mark.parametrize(
    "cookie",
    [
        "retry-0",
        "retry--1",
        "retry-1x",
        "retry-" + "9" * 19,
        "<b>-1",
        "kill-1",
        "retry",
        "",
        "retry-1\n",
        "x" * 4000,
    ],
)
def test_a_forged_word_is_not_said(site: Site, cookie: str) -> None:
    client = site.client()
    client.set_cookie("bgjobs_said", cookie, path="/dashboard")
    response = client.get("/dashboard")
    assert response.status_code == 200
    assert "notice-said" not in response.text


def test_a_second_kill_changes_nothing(site: Site) -> None:
    job_id, client = job_that_is(site, "running"), site.client()
    for _ in range(2):
        assert post(client, site, f"{job_id}/kill", headers=HTMX).status_code == 200
    assert [message for _, message in site.messages(job_id)].count("Killed on the dashboard") == 1
    page = main_of(client, f"jobs/{job_id}")
    assert "being killed" in page.one("p", class_="job-state").words


# -- what it waits for ----------------------------------------------------------------------------------------


def test_a_pending_job_says_what_it_waits_for(site: Site) -> None:
    job_id, client = job_that_is(site, "pending"), site.client()
    page = main_of(client, f"jobs/{job_id}")
    assert "BGJOBS_AUTOSTART is off" in page.one("p", id="why").words
    assert "flask bgjobs supervise" in page.one("p", id="why").words
    assert len(page.one("details", id="why-details").all("li")) == 9
    site.change(job_id, scheduled_at=datetime.now(UTC) + timedelta(hours=3, minutes=1))
    assert main_of(client, f"jobs/{job_id}").one("p", id="why").words.startswith("It is scheduled in 3 hours, at ")
    site.change(job_id, status="failed")
    assert not main_of(client, f"jobs/{job_id}").all("p", id="why")


def test_hostile_values_are_told_as_text(site: Site) -> None:
    job_id = site.dispatch()
    site.change(job_id, class_name="<img src=x onerror=alert(1)>\x1b", queue="<b>q</b>")
    site.execute("INSERT INTO bgjobs_paused_queues VALUES ('<b>q</b>', '2026-01-01', '<script>x</script>')")
    page = main_of(site.client(), f"jobs/{job_id}")
    assert "<script>x</script>" in page.one("p", id="why").words
    assert not page.all("img")
    assert not page.all("script")
    assert "\x1b" not in page.text
