"""The page of the queues: what waits in each, and the buttons that hold one up."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import g
from pages import Element, parsed
from sites import PARTIAL, Site, an_hour_ago
from sqlalchemy.dialects import sqlite

from bgjobs import pausing
from bgjobs.dashboard.counts import COUNTED
from bgjobs.dashboard.queues import queries

PAGE = "/dashboard/queues"


def table(site: Site) -> dict[str, list[str]]:
    """By queue: pending, due, running, oldest, state."""
    body = parsed(site.get(PAGE).text).all("tbody")
    return {
        row.one("th").words: [cell.words for cell in row.all("td")[:5]]
        for row in (body[0].all("tr") if body else [])
    }


def press(site: Site, step: str, queue: str, **headers: str) -> Any:
    client = site.client()
    client.get(PAGE)
    cookie = client.get_cookie("bgjobs_csrf", path="/dashboard")
    if cookie is None:  # no form on the page, so no cookie
        client.get(f"/dashboard/jobs/{site.dispatch()}")
        cookie = client.get_cookie("bgjobs_csrf", path="/dashboard")
    assert cookie is not None
    data = {"csrf_token": cookie.value, "queue": queue}
    return client.post(f"{PAGE}/{step}", data=data, headers=headers)


def log_file(site: Site) -> str:
    return Path(str(site.state.settings.log_dir), "background_jobs.log").read_text()


def test_nothing_yet(site: Site) -> None:
    main = parsed(site.get(PAGE).text).one("main")
    assert "No queue has jobs" in main.words
    assert not main.all("table")


def test_each_queue_with_what_waits_in_it(site: Site) -> None:
    for queue, delay in (("mail", 0), ("mail", 3600), ("mail", 0), ("default", 7200)):
        site.dispatch(queue=queue, delay=delay)
    site.change(1, scheduled_at=an_hour_ago())
    site.change(site.dispatch(queue="images"), status="running")
    site.change(site.dispatch(queue="done"), status="completed")
    assert table(site) == {
        "default": ["1", "0", "0", "–", "Open"],
        "images": ["0", "0", "1", "–", "Open"],
        "mail": ["3", "2", "0", "1 hour ago", "Open"],
    }


def test_a_paused_queue_says_by_whom_and_since_when(site: Site) -> None:
    pausing.pause_queue(site.state.store, "mail", by="grace <b>")
    site.execute("UPDATE bgjobs_paused_queues SET paused_at = :at", at=str(an_hour_ago())[:19])
    assert table(site) == {"mail": ["0", "0", "0", "–", "Paused by grace <b>, 1 hour ago"]}


def test_pause_and_resume(make_site: Callable[..., Site]) -> None:
    def access(request: Any) -> str:
        g.bgjobs_user = "ada"
        return "all"

    site = make_site(BGJOBS_DASHBOARD_ACCESS=access)
    site.dispatch(queue="mail")
    response = press(site, "pause", "mail")
    assert (response.status_code, response.location) == (303, PAGE)
    assert table(site)["mail"][4].startswith("Paused by ada")
    assert "INFO: queue::mail - Paused on the dashboard by ada" in log_file(site)
    fragment = press(site, "resume", "mail", **PARTIAL)
    assert fragment.status_code == 200
    assert "Open" in fragment.text
    assert "<html" not in fragment.text
    assert table(site)["mail"][4] == "Open"
    assert "INFO: queue::mail - Resumed on the dashboard by ada" in log_file(site)


@pytest.mark.parametrize(
    ("step", "queue", "status"),
    [
        ("pause", "mail", 409),
        ("resume", "default", 409),
        ("resume", "never-heard-of", 409),
        ("pause", "", 404),
        ("pause", "a b", 404),
        ("pause", "x" * 101, 404),
        ("resume", "é\n", 404),
        ("pause", "<b>", 404),
    ],
)
def test_what_cannot_be(site: Site, step: str, queue: str, status: int) -> None:
    site.dispatch()
    pausing.pause_queue(site.state.store, "mail")
    before = table(site)
    response = press(site, step, queue)
    assert response.status_code == status
    assert "Nothing was changed" in response.text
    assert table(site) == before


@pytest.mark.parametrize("queue", ["..", ".", "a:b", "-"])
def test_a_queue_of_an_odd_name_can_be_paused(site: Site, queue: str) -> None:
    site.dispatch(queue=queue)
    assert press(site, "pause", queue).status_code == 303
    assert table(site)[queue][4].startswith("Paused")


@pytest.mark.parametrize(
    ("answer", "acts"),
    [("all", True), ({"queues"}, True), ({"cancel", "pause"}, False), ("read", False), (set(), False)],
)
def test_the_right_to_pause_queues(make_site: Callable[..., Site], answer: Any, acts: bool) -> None:
    allowed: list[Any] = ["all"]
    site = make_site(BGJOBS_DASHBOARD_ACCESS=lambda request: allowed[0])
    site.dispatch(queue="mail")
    client = site.client()
    client.get(PAGE)
    cookie = client.get_cookie("bgjobs_csrf", path="/dashboard")
    assert cookie is not None
    allowed[0] = answer
    page = client.get(PAGE)
    assert bool(parsed(page.text).one("main").all("form")) is acts
    done = client.post(f"{PAGE}/pause", data={"csrf_token": cookie.value, "queue": "mail"})
    assert done.status_code == (303 if acts else 403)
    assert table(site)["mail"][4].startswith("Paused") is acts


def test_without_a_token_nothing_is_paused(site: Site) -> None:
    site.dispatch(queue="mail")
    assert site.client().post(f"{PAGE}/pause", data={"queue": "mail"}).status_code == 403
    assert table(site)["mail"][4] == "Open"


def test_the_question_names_the_queue_and_the_number(site: Site) -> None:
    site.dispatch(queue="mail")
    site.dispatch(queue="mail")
    form: Element = parsed(site.get(PAGE).text).one("main").one("form")
    assert (
        form.attributes["hx-confirm"] == "Pause the queue mail? Its 2 pending jobs will wait; what runs goes on."
    )
    assert form.attributes["data-go-on"] == "Pause the queue"


def test_unchanged_queues_are_not_sent_again(site: Site) -> None:
    site.dispatch(queue="mail", delay=3600)
    client = site.client()
    client.get(PAGE)
    tag = client.get(PAGE, headers=PARTIAL).headers["HX-PTag"]
    assert client.get(PAGE, headers={**PARTIAL, "HX-PTag": tag}).status_code == 304
    pausing.pause_queue(site.state.store, "mail")
    assert client.get(PAGE, headers={**PARTIAL, "HX-PTag": tag}).status_code == 200
    tag = client.get(PAGE, headers=PARTIAL).headers["HX-PTag"]
    site.change(1, scheduled_at=an_hour_ago())  # it became due, and nobody wrote a log of that
    assert client.get(PAGE, headers={**PARTIAL, "HX-PTag": tag}).status_code == 200


def test_names_that_somebody_wrote_there(site: Site) -> None:
    """No text, no UTF-8, nothing at all: each is shown once, the walk ends, and none of them can be acted on."""
    for _ in range(6):
        site.dispatch()
    for number, value in enumerate(
        ["x'00ff'", "cast(x'ff61' as text)", "''", "'<b>'", "char(27) || '[31m'", "'a b'"], start=1
    ):
        site.execute(f"UPDATE background_jobs SET queue = {value} WHERE id = {number}")
    text = site.get(PAGE).text
    rows = parsed(text).one("tbody").all("tr")
    assert len(rows) == 6
    assert not parsed(text).one("main").all("form")
    assert "\x1b" not in text
    assert "<b>" not in parsed(text).one("caption").text
    assert {"(no name)", "<b>", "\\x1b[31m"} <= {row.one("th").words for row in rows}


def test_times_that_somebody_wrote_there(site: Site) -> None:
    site.dispatch(queue="mail")
    site.execute("UPDATE background_jobs SET scheduled_at = 'yesterday'")
    site.execute("INSERT INTO bgjobs_paused_queues VALUES ('mail', 'once', x'00')")
    assert table(site)["mail"][4].startswith("Paused by")


def test_counts_stop_and_more_queues_than_fit_are_said_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "COUNTED", 3)
    monkeypatch.setattr(queries, "SHOWN", 2)
    for queue in ("a", "a", "a", "a", "b", "c"):
        site.dispatch(queue=queue)
    site.change(site.dispatch(queue="zebra"), status="running")
    assert [row[0] for row in table(site).values()] == ["3+", "1"]
    assert "2 queues shown; there are more" in parsed(site.get(PAGE).text).one("main").words


def test_every_question_is_a_look_up(site: Site) -> None:
    """No table is read, and no pending job is looked at but in the index of the queues."""
    site.dispatch(queue="mail")
    statement = str(
        queries._of(queries._walk.c.queue, datetime.now(UTC), 10)
        .where(queries._is_name)
        .compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    )
    with site.state.store.database.reading() as connection:
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
    touched = [step for step in steps if "background_jobs" in step]
    assert len(touched) == 5
    assert all("USING COVERING INDEX ix_background_jobs_queue" in step for step in touched), steps
    assert not [step for step in steps if "SCAN background_jobs" in step or "TEMP B-TREE" in step]


def test_a_great_many_pending_jobs_are_quickly_counted(site: Site) -> None:
    """15 ms for these (measured); the bound is far above that of a busy computer."""
    site.dispatch()
    site.execute(
        "INSERT INTO background_jobs (class_name, method_name, status, queue, priority, retry_count, max_retries, "
        "retry_delay, scheduled_at, created_at, updated_at, attempt) "
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) "
        "SELECT class_name, method_name, status, 'q' || (i % 3), priority, 0, 0, retry_delay, "
        "CASE i % 2 WHEN 0 THEN :past ELSE :future END, created_at, updated_at, 0 FROM n, background_jobs",
        past=str(an_hour_ago())[:26],
        future=str(an_hour_ago() + timedelta(days=2))[:26],
    )
    shown = table(site)
    assert shown["q0"][:2] == [f"{COUNTED:,}+", f"{COUNTED:,}"]
    started = time.monotonic()
    site.get(PAGE)
    assert time.monotonic() - started < 1
