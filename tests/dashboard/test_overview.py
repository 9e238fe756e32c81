"""The first page: numbers, charts and what needs attention, above the log table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pages import Element, parsed, shown_logs
from sites import PARTIAL, Site
from sqlalchemy import event, insert

from bgjobs.dashboard.causes import exception_of
from bgjobs.dashboard.overview.failures import grouped
from bgjobs.dashboard.overview.numbers import Numbers, by_point, ended_by_minute, slowest, throughput, together
from bgjobs.dashboard.overview.past import Past
from bgjobs.dashboard.overview.range import RANGES, range_of
from bgjobs.metrics import Ended, bucket_of, count, metrics, minute_of

ATTACK = "</title></svg><script>alert(1)</script>\" onload='x\x1b[31m"
NUMBERS = "/dashboard/_/overview"


def ended(site: Site, kind: str = "completed", *, times: int = 1, ago: float = 0, **values: Any) -> None:
    """Attempts that ended so many minutes ago."""
    row = {"class_name": "shop.Mail", "method_name": "send", "waited": 0.1, "ran": 1.0, **values}
    with site.state.store.database.writing() as connection:
        count(connection, [Ended(kind=kind, **row)] * times, datetime.now(UTC) - timedelta(minutes=ago))


def failed(site: Site, error: str | None, **values: Any) -> int:
    job_id = site.dispatch()
    site.change(job_id, status="failed", error_message=error, completed_at=datetime.now(UTC), **values)
    return job_id


def main(site: Site, path: str = "/dashboard") -> Element:
    response = site.get(path)
    assert response.status_code == 200
    return parsed(response.text).one("main")


def stats(page: Element) -> dict[str, str]:
    found = page.one("dl", class_="stats").all("div", class_="stat")
    return {stat.one("dt").words: stat.one("dd", class_="stat-value").words for stat in found}


def panel(page: Element, name: str) -> str:
    return page.one("section", aria_labelledby=f"{name}-title").words


# -- the two pages -----------------------------------------------------------------------------------


def test_the_sections_in_the_bar(site: Site) -> None:
    for path, name in (("/dashboard", "Overview"), ("/dashboard/logs", "Logs")):
        bar = parsed(site.get(path).text).one("nav", class_="tabs")
        assert [link.words for link in bar.all("a")][:3] == ["Overview", "Jobs", "Logs"]
        (current,) = [link.words for link in bar.all("a") if link.attributes.get("aria-current") == "page"]
        assert current == name


def test_the_first_page_has_both_and_the_logs_alone_have_an_address(site: Site) -> None:
    site.dispatch()
    first, logs = main(site), main(site, "/dashboard/logs")
    assert first.one("div", id="overview").all("svg", role="img")
    assert len(first.one("table", id="logs").all("tr")) == len(logs.one("table", id="logs").all("tr")) == 4
    assert logs.all("svg", role="img") == []
    assert [page.one("h1").words for page in (first, logs)] == ["Overview", "Logs"]


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/logs"])
def test_for_htmx_it_is_the_log_table_alone(site: Site, path: str) -> None:
    site.dispatch()
    answer = site.get(path, headers=PARTIAL).text
    assert len(shown_logs(answer)) == 3
    assert "<html" not in answer
    assert "stat-value" not in answer
    assert parsed(answer).one("div", id="poll").attributes["hx-get"] == path


@pytest.mark.parametrize(
    ("path", "stays"),
    [
        ("/dashboard", "/dashboard?"),
        ("/dashboard/logs", "/dashboard/logs?"),
        ("/dashboard?range=6h", "/dashboard?range=6h&"),
    ],
)
def test_links_form_and_address_stay_on_the_page(site: Site, path: str, stays: str) -> None:
    site.add_logs(site.dispatch(), ["one"] * 30)
    page = main(site, path)
    older = page.one("a", id="older").attributes
    assert str(older["href"]).startswith(stays)
    assert older["hx-get"] == older["href"]
    form = page.one("form", id="filters")
    assert form.attributes["action"] == form.attributes["hx-get"] == path
    kept = {item.attributes["name"]: item.attributes["value"] for item in form.all("input", type="hidden")}
    assert kept == ({"range": "6h"} if "range" in path else {})
    searched = site.get(f"{path}{'&' if '?' in path else '?'}q=one", headers=PARTIAL)
    assert searched.headers["HX-Replace-Url"] == f"{stays}q=one"


# -- the numbers -------------------------------------------------------------------------------------


def test_the_strip_before_anything_happened(site: Site) -> None:
    page = main(site)
    assert stats(page) == {
        "Throughput": "0/min",
        "Failure rate": "–",
        "p95 run": "–",
        "p95 wait": "–",
        "Running": f"0/{site.state.settings.processes}",
        "Oldest due": "–",
    }
    assert "No failed jobs" in panel(page, "troubles")
    assert "Nothing runs" in panel(page, "running")
    assert "No job ended in the last hour" in panel(page, "slow")


def test_the_strip_of_jobs_that_ended(make_site: Callable[..., Site]) -> None:
    site = make_site(BGJOBS_PROCESSES=8)
    ended(site, times=97, ago=2, ran=1, waited=0.02)
    ended(site, "failed", times=3, ago=1, ran=30, waited=0.02)
    ended(site, "retried", times=10, ago=20, ran=60)
    ended(site, "cancelled", ago=90)  # longer ago than the range
    shown = stats(main(site))
    # 100 jobs in five to six minutes; a retry ends none.
    assert 100 / 6 - 1 <= float(shown["Throughput"].removesuffix("/min")) <= 100 / 5
    assert shown["Failure rate"] == "3.0 %"
    assert shown["p95 run"] == "56 s"  # within a fifth of 60
    assert shown["p95 wait"] == "94 ms"  # within a fifth of 100
    assert shown["Running"] == "0/8"


def test_what_runs_and_what_waits(site: Site) -> None:
    job_id = site.dispatch("slow")
    site.change(
        job_id,
        status="running",
        started_at=datetime.now(UTC) - timedelta(seconds=62),
        progress_done=3,
        progress_total=12,
    )
    site.dispatch()
    page = main(site)
    assert stats(page)["Running"].startswith("1/")
    assert stats(page)["Oldest due"] == "0:00"
    assert f"#{job_id} ExampleJob::slow 1:02 25 %" in panel(page, "running")


@pytest.mark.parametrize("options", [{"delay": 600}])
def test_what_is_not_due_is_not_late(site: Site, options: dict[str, Any]) -> None:
    site.dispatch(**options)
    assert stats(main(site))["Oldest due"] == "–"


def test_inline_jobs_are_seen_at_once(make_site: Callable[..., Site]) -> None:
    site = make_site(BGJOBS_BACKEND="inline")
    site.dispatch()
    site.dispatch("fail", max_retries=1, retry_delay=0)
    page = main(site)
    assert stats(page)["Failure rate"] == "50 %"
    assert stats(page)["Running"] == "0"
    table = page.one("details", id="ended-table").one("tbody")
    cells = [[int(cell.words) for cell in row.all("td")] for row in table.all("tr")]
    assert [sum(column) for column in zip(*cells, strict=True)] == [1, 1, 1, 0]
    assert "ExampleJob::fail" in panel(page, "troubles")
    assert "ExampleJob::run" in panel(page, "slow")


@pytest.mark.parametrize(
    ("key", "points", "title"),
    [
        ("1h", 60, "Jobs ended per minute"),
        ("6h", 72, "Jobs ended per 5 minutes"),
        ("24h", 96, "Jobs ended per 15 minutes"),
        ("7d", 84, "Jobs ended per 2 hours"),
    ],
)
def test_ranges(site: Site, key: str, points: int, title: str) -> None:
    ended(site, times=5)
    looked_at = range_of({"range": key})
    assert (looked_at.points, looked_at.points <= 120) == (points, True)
    page = main(site, f"/dashboard?range={key}")
    assert title in page.words
    (current,) = [
        link for link in page.one("nav", class_="ranges").all("a") if link.attributes.get("aria-current")
    ]
    assert key in current.words
    assert len(page.one("details", id="ended-table").one("tbody").all("tr")) == 1


@pytest.mark.parametrize("value", ["", "1H", "9999d", "-1", "1h\x00", "<b>", "24h; DROP TABLE x"])
def test_an_unknown_range_is_the_first_one(site: Site, value: str) -> None:
    response = site.client().get("/dashboard", query_string={"range": value})
    assert response.status_code == 200
    assert "Jobs ended per minute" in response.text


@pytest.mark.parametrize("looked_at", RANGES, ids=lambda one: one.key)
def test_the_last_point_of_a_range_is_under_way(looked_at: Any) -> None:
    for minute in range(30_000_000, 30_000_000 + 300, 7):
        first = looked_at.first_minute(minute)
        assert first % looked_at.step == 0
        assert first + looked_at.minutes - looked_at.step <= minute < first + looked_at.minutes


def test_hours_and_minutes_make_one_chart(site: Site) -> None:
    ended(site, times=2)
    hour = (minute_of(datetime.now(UTC)) - 3 * 24 * 60) // 60 * 60
    row = {"span": 60, "minute": hour, "class_name": "shop.Mail", "method_name": "send", "kind": "failed"}
    with site.state.store.database.writing() as connection:
        connection.execute(insert(metrics), {**row, "bucket": 20, "number": 6, "seconds": 1.0})
    assert stats(main(site, "/dashboard?range=7d"))["Failure rate"] == "75 %"
    assert stats(main(site))["Failure rate"] == "0 %"


@pytest.mark.parametrize(
    ("longest", "tick"),
    [(0.02, "5 ms"), (0.5, "200 ms"), (40, "20 s"), (100, "30 s"), (1200, "5 m 00 s"), (9e3, "1 h 00 m")],
)
def test_the_axis_of_the_durations_has_round_times(site: Site, longest: float, tick: str) -> None:
    ended(site, ran=longest)
    ticks = main(site).one("svg", aria_labelledby="durations-title").all("text", text_anchor="end")
    assert tick in [text.words for text in ticks]


def test_no_table_is_walked_through(site: Site) -> None:
    """Each question looks into an index, and sorts nothing of the jobs."""
    asked: list[tuple[str, Any]] = []
    engine = site.state.store.database.engine

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert site.get(f"{NUMBERS}?range=7d", headers=PARTIAL).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    selects = [(statement, parameters) for statement, parameters in asked if "bgjobs_metrics" in statement]
    selects += [(statement, parameters) for statement, parameters in asked if "FROM background_jobs" in statement]
    assert len(selects) >= 5
    for statement, parameters in selects:
        with site.state.store.database.reading() as connection:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        walks = [step for step in plan if step.startswith(("SCAN background_jobs", "SCAN bgjobs_metrics"))]
        assert [step for step in walks if "INDEX" not in step] == [], (statement, plan)
        if "FROM background_jobs" in statement:
            assert not [step for step in plan if "TEMP B-TREE" in step], (statement, plan)


# -- what needs attention ----------------------------------------------------------------------------


def test_failures_are_grouped(site: Site) -> None:
    for _ in range(3):
        failed(site, "ValueError: 12 is not a picture")
    newest = failed(site, "ValueError: 13 is not a picture")
    failed(site, "TimeoutError: too late", class_name="shop.Report", method_name="generate")
    page = main(site)
    section = page.one("section", aria_labelledby="troubles-title")
    groups = [item.words for item in section.all("li")]
    assert groups == [
        "Report::generate 1 failed TimeoutError just now View Retry",
        "ExampleJob::run 4 failed ValueError just now View Retry",
    ]
    assert f"/dashboard/jobs/{newest}" in [link.attributes["href"] for link in section.all("a")]


def test_many_kinds_of_failures_are_counted_not_shown(site: Site) -> None:
    for number in range(9):
        failed(site, f"E{number}: x")
    section = main(site).one("section", aria_labelledby="troubles-title")
    assert len(section.all("li")) == 4
    assert "5 more kinds of failure." in section.words


@pytest.mark.parametrize(
    ("error", "exception"),
    [
        ("ValueError: no such user", "ValueError"),
        ("ValueError", "ValueError"),
        ("shop.errors.OutOfStock: teapot", "OutOfStock"),
        ("the process was lost", ""),
        ("<b>: x", ""),
        ("", ""),
        (None, ""),
        (12, ""),
        (b"ValueError: x", ""),
        ("E" * 200 + ": x", ""),
        ("Ünicode: x", ""),
    ],
)
def test_exception_of_an_error(error: Any, exception: str) -> None:
    assert exception_of(error) == exception


def test_groups_know_their_first_and_last_time() -> None:
    times = [datetime(2030, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    rows = [
        SimpleNamespace(id=number, class_name="A", method_name="m", error="E: x", completed_at=ended)
        for number, ended in zip((9, 8, 7, 6), (times[1], times[2], times[0], "never"), strict=True)
    ]
    (group,) = grouped(rows)
    assert (group.number, group.newest_id, group.first, group.last) == (4, 9, times[0], times[2])


def group_of(site: Site, client: Any) -> Element:
    (group,) = parsed(client.get("/dashboard").text).one("section", aria_labelledby="troubles-title").all("li")
    return group


@pytest.mark.parametrize("error", ["ValueError: x", "ValueError", "Killed by SIGKILL", None])
def test_a_group_leads_to_its_jobs_and_to_no_others(site: Site, error: str | None) -> None:
    of_it = {failed(site, error) for _ in range(2)}
    (link,) = (a for a in group_of(site, site.client()).all("a") if a.words == "View")
    failed(site, "TimeoutError: ValueError: x")
    failed(site, error, class_name="shop.Report")
    failed(site, error, method_name="slow")
    page = main(site, str(link.attributes["href"]))
    shown = {int(str(row.attributes["id"]).removeprefix("job-")) for row in page.one("tbody").all("tr")}
    assert shown == of_it


def test_a_group_is_retried_as_it_was_when_it_was_shown(site: Site) -> None:
    of_it = [failed(site, f"ValueError: {number}") for number in range(3)]
    client = site.client()
    form = group_of(site, client).one("form")
    button = form.one("button")
    assert str(button.attributes["data-confirm"]).startswith("Retry 3 jobs? They become pending again")
    assert button.attributes["data-go-on"] == "Retry 3 jobs"
    assert "data-typed" not in button.attributes
    failed(site, "TimeoutError: another")
    sent = {str(field.attributes["name"]): str(field.attributes["value"]) for field in form.all("input")}
    answer = client.post(str(form.attributes["action"]), data={**sent, "action": "retry", "confirmed": "yes"})
    job = site.row(int(answer.location.rpartition("/")[2]))
    assert job.class_name == "bgjobs.bulk.BulkAction"
    assert job.parameters == {"action": "retry", "job_ids": of_it[::-1], "by": None}


def test_a_large_group_has_to_be_typed(site: Site) -> None:
    site.dispatch_many(101, status="failed", error_message="ValueError: x")
    button = group_of(site, site.client()).one("button")
    assert button.attributes["data-typed"] == "101"


@pytest.mark.parametrize(("access", "may_retry"), [("read", False), ({"retry"}, True), ({"cancel"}, False)])
def test_only_who_may_retry_is_offered_it(make_site: Callable[..., Site], access: Any, may_retry: bool) -> None:
    site = make_site(BGJOBS_DASHBOARD_ACCESS=lambda request: access)
    failed(site, "ValueError: x")
    assert bool(group_of(site, site.client()).all("form")) is may_retry


# -- hostile rows ------------------------------------------------------------------------------------


def test_hostile_names_stay_names(site: Site) -> None:
    ended(site, class_name=ATTACK, method_name=ATTACK)
    failed(site, ATTACK, class_name=ATTACK, method_name=ATTACK)
    job_id = site.dispatch()
    site.change(job_id, status="running", started_at=datetime.now(UTC), class_name=ATTACK, method_name=ATTACK)
    response = site.get("/dashboard")
    page = parsed(response.text)
    assert page.one("main").all("script") == []
    assert "<script>alert" not in response.text
    assert "\x1b" not in response.text
    assert "style=" not in response.text


@pytest.mark.parametrize(
    "change",
    [
        "number = 'many'",
        "number = -5",
        "number = 9e300",
        "number = x'00'",
        "bucket = 'wide'",
        "bucket = 2000000000",
        "bucket = -3",
        "kind = '<b>'",
        "kind = x'00ff'",
        "minute = minute + 0.5",
        "class_name = x'00ff', method_name = 12",
    ],
)
@pytest.mark.parametrize("key", ["1h", "7d"])
def test_an_edited_row_breaks_nothing(site: Site, change: str, key: str) -> None:
    ended(site)
    site.execute(f"UPDATE bgjobs_metrics SET {change} WHERE kind = 'completed'")
    ended(site, "failed", times=2)
    assert stats(main(site, f"/dashboard?range={key}"))["Throughput"] != ""


@pytest.mark.parametrize(
    "values",
    [
        {"progress_done": "some", "progress_total": "all"},
        {"progress_done": 1, "progress_total": 0},
        {"progress_done": 9, "progress_total": 3},
        {"progress_done": 1e308, "progress_total": 1e-308},
        {"progress_done": 1, "progress_total": -5},
    ],
)
def test_a_strange_progress_breaks_nothing(site: Site, values: dict[str, Any]) -> None:
    job_id = site.dispatch()
    site.change(job_id, status="running", started_at=datetime.now(UTC))
    for column, value in values.items():
        site.execute(f"UPDATE background_jobs SET {column} = :value", value=value)
    site.execute("UPDATE background_jobs SET started_at = 'soon'")
    assert f"#{job_id}" in panel(main(site), "running")


# -- news --------------------------------------------------------------------------------------------


def at_the_beginning_of_a_minute() -> None:
    """The tag has the minute in it: what must fall into one begins well before its end."""
    if (left := 60 - time.time() % 60) < 5:
        time.sleep(left)


def test_an_unchanged_overview_is_a_304(site: Site) -> None:
    at_the_beginning_of_a_minute()
    ended(site)
    reader = site.client()  # one, whose token is in what is shown
    page = parsed(reader.get("/dashboard").text)
    tag = reader.get(NUMBERS, headers=PARTIAL).headers["HX-PTag"]
    (poll,) = [it for it in page.one("div", id="overview").all("div") if "data-side-poll" in it.attributes]
    assert (poll.attributes["hx-ptag"], poll.attributes["hx-get"]) == (tag, NUMBERS)
    again = reader.get(NUMBERS, headers={**PARTIAL, "HX-PTag": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert reader.get(f"{NUMBERS}?range=6h", headers={**PARTIAL, "HX-PTag": tag}).status_code == 200
    job_id = site.dispatch()
    news = reader.get(NUMBERS, headers={**PARTIAL, "HX-PTag": tag})
    assert news.status_code == 200
    site.change(job_id, status="running", started_at=datetime.now(UTC))
    tag = reader.get(NUMBERS, headers=PARTIAL).headers["HX-PTag"]
    site.change(job_id, progress_done=1, progress_total=4)
    progressed = reader.get(NUMBERS, headers={**PARTIAL, "HX-PTag": tag})
    assert progressed.status_code == 200
    assert "25 %" in progressed.text


def test_a_new_minute_is_news(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    tag = site.get(NUMBERS, headers=PARTIAL).headers["HX-PTag"]
    later = datetime.now(UTC) + timedelta(minutes=1)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return later

    monkeypatch.setattr("bgjobs.dashboard.glance.datetime", Later)
    assert site.get(NUMBERS, headers={**PARTIAL, "HX-PTag": tag}).status_code == 200


def test_the_part_alone_is_no_page(site: Site) -> None:
    assert site.get(NUMBERS).location == "/dashboard"
    assert site.get(f"{NUMBERS}?range=7d").location == "/dashboard?range=7d"
    assert site.client().post(NUMBERS).status_code == 405


def test_the_part_is_closed_where_the_page_is(make_site: Callable[..., Site]) -> None:
    site = make_site(BGJOBS_DASHBOARD_ACCESS=lambda request: False)
    for path in (NUMBERS, "/dashboard/logs"):
        assert site.get(path, headers=PARTIAL).status_code == 403


# -- the sums ----------------------------------------------------------------------------------------


def row(**values: Any) -> Any:
    return SimpleNamespace(**{"point": 0, "kind": "completed", "bucket": 3, "number": 1, **values})


def test_rows_are_put_together_by_point() -> None:
    rows = [(0, "completed", 3, 2), (1, "failed", 3, 1), (0, "wait", 1, 3), (9, "completed", 3, 1)]
    classes = [(0, "A", "m", 3, 2), (0, "A", "m", 5, 1), (9, "A", "m", 5, 1)]
    first, second = by_point(rows, classes, 2)
    assert (first.kinds, first.ran, first.waited) == ({"completed": 2}, {3: 2}, {1: 3})
    assert first.classes == {("A", "m"): {3: 2, 5: 1}}
    assert (second.kinds, second.failure_rate, first.failure_rate) == ({"failed": 1}, 1.0, 0.0)
    total = together([first, second])
    assert (total.kinds, total.ran, total.judged) == ({"completed": 2, "failed": 1}, {3: 3}, 3)
    assert Numbers().failure_rate is None


def test_the_slowest_come_first() -> None:
    classes = {
        ("quick", "m"): Counter({bucket_of(0.1): 100}),
        ("mostly quick", "m"): Counter({bucket_of(0.1): 90, bucket_of(100): 10}),
        ("slow", "m"): Counter({bucket_of(10): 5}),
    }
    assert [one.class_name for one in slowest(classes, 2)] == ["mostly quick", "slow"]
    assert [one.number for one in slowest(classes, 9)] == [100, 5, 100]


def test_what_ended_by_minute() -> None:
    rows = [row(minute=10, number=3), row(minute=12, kind="failed"), row(minute=12, kind="retried"), row(minute=1)]
    assert ended_by_minute(rows, 12, 4) == [0, 3, 0, 1]


@pytest.mark.parametrize(
    ("by_minute", "seconds", "rate"),
    [([0] * 30, 30, 0), ([9] * 30, 60, 9), ([0] * 24 + [10] * 6, 0.0001, 12), ([0] * 29 + [6], 60, 1)],
)
def test_throughput(by_minute: list[int], seconds: float, rate: float) -> None:
    assert throughput(by_minute, seconds) == pytest.approx(rate, rel=0.001)


def test_the_past_is_read_once() -> None:
    past, hour, asked = Past(), RANGES[0], []

    def read(minute: int) -> Any:
        def from_first(first: int) -> list[Numbers]:
            asked.append(minute - first + 1)
            return [Numbers(kinds=Counter(completed=place)) for place in range(first, minute + 1)]

        return from_first

    def kinds(minute: int) -> list[int]:
        return [point.kinds["completed"] for point in past.points(hour, minute, read(minute))]

    for minute in (1000, 1000, 1001, 1100, 1050):
        assert kinds(minute) == list(range(minute - 59, minute + 1))
    # All; then what is under way and what may still be written; all again after a long time, and after the clock
    # was set back.
    assert asked == [60, 3, 4, 60, 60]
