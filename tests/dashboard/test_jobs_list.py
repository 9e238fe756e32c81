"""The list of jobs as the server answers it: filters, search, pages, what it says of a job, and hostile values."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import addresses, parsed, shown_jobs
from sites import PARTIAL, Site
from sqlalchemy import event

from bgjobs.dashboard.jobs import choices, matching, queries, ways
from bgjobs.dashboard.shared import Shared

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def counts_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "shared", Shared(seconds=0.0))


def page_of(site: Site, **query: object) -> str:
    response = site.get(f"/dashboard/jobs?{urlencode(query)}")
    assert response.status_code == 200, response.text
    return response.text


def found(site: Site, **query: object) -> list[int]:
    return shown_jobs(page_of(site, **query))


@pytest.fixture
def zoo(site: Site) -> dict[str, int]:
    """A job of each kind, by what it is."""
    kinds: dict[str, dict[str, object]] = {
        # The oldest, as its number says, too.
        "cancelled": {"status": "cancelled", "created_at": NOW - timedelta(days=9)},
        "pending": {},
        "running": {"status": "running", "started_at": NOW, "attempt": 1},
        "retrying": {"retry_count": 1},
        "scheduled": {"scheduled_at": NOW + timedelta(days=1)},
        "completed": {"status": "completed", "queue": "mail"},
        "failed": {
            "status": "failed",
            "class_name": "app.Other",
            "method_name": "send",
            "error_message": "ValueError: no such user",
        },
        "failed twice": {
            "status": "failed",
            "class_name": "app.Other",
            "queue": "mail",
            "error_message": "Killed by SIGKILL. Not a ValueError: nothing was raised.",
        },
    }
    made = {}
    for name, values in kinds.items():
        made[name] = site.dispatch(parameters={"of": f"Ada {name}", "password": "hunter22"})
        site.change(made[name], **{"scheduled_at": NOW - timedelta(minutes=1), **values})
    return made


FILTERS = [
    ({"state": "pending"}, {"pending", "retrying", "scheduled"}),
    ({"state": "running"}, {"running"}),
    ({"state": "retrying"}, {"retrying"}),
    ({"state": "scheduled"}, {"scheduled"}),
    ({"state": "completed"}, {"completed"}),
    ({"state": "failed"}, {"failed", "failed twice"}),
    ({"state": "cancelled"}, {"cancelled"}),
    ({"class": "app.Other"}, {"failed", "failed twice"}),
    ({"class": "app.Other", "method": "send"}, {"failed"}),
    ({"class": "app.Other::run"}, {"failed twice"}),
    ({"class": "app.Other", "method": "run", "state": "failed"}, {"failed twice"}),
    ({"class": "app.Other", "state": "completed"}, set()),
    ({"class": "app.Nothing"}, set()),
    ({"class": "app.other"}, set()),
    ({"method": "send"}, {"failed"}),
    ({"queue": "mail"}, {"completed", "failed twice"}),
    ({"queue": "mail", "state": "failed"}, {"failed twice"}),
    ({"queue": "ma"}, set()),
    ({"error": "ValueError"}, {"failed"}),
    ({"error": "ValueError", "state": "failed", "class": "app.Other::send"}, {"failed"}),
    ({"error": "ValueError", "q": "zebra"}, set()),
    ({"error": "ValueError", "q": "ada"}, {"failed"}),
    ({"error": "valueerror"}, set()),
    ({"error": "Value"}, set()),
    ({"error": "Value%"}, set()),
    ({"error": "none", "state": "failed"}, {"failed twice"}),
    ({"to": (NOW - timedelta(days=5)).isoformat()}, {"cancelled"}),
    ({"to": (NOW - timedelta(days=5)).isoformat(), "state": "failed"}, set()),
    ({"from": (NOW - timedelta(days=10)).isoformat(), "state": "cancelled"}, {"cancelled"}),
    ({"from": (NOW + timedelta(days=5)).isoformat()}, set()),
    ({"q": "ada failed"}, {"failed", "failed twice"}),
    ({"q": "ADA FAILED T"}, {"failed twice"}),
    ({"q": "other::send"}, {"failed"}),
    ({"q": "Other", "queue": "mail"}, {"failed twice"}),
    ({"q": "hunter22"}, set()),
    ({"q": "unter2"}, set()),
    ({"q": "zebra"}, set()),
    ({"q": '"of":"ada r'}, {"running", "retrying"}),
]


@pytest.mark.parametrize(("query", "names"), FILTERS)
def test_each_filter(site: Site, zoo: dict[str, int], query: dict[str, str], names: set[str]) -> None:
    shown = found(site, **query)
    assert set(shown) == {zoo[name] for name in names}
    assert shown == sorted(shown, reverse=True)
    assert found(site, **query, sort="oldest") == shown[::-1]


@pytest.mark.parametrize("typed", ["{}", "#{}", " {} "])
def test_a_number_is_that_job(site: Site, zoo: dict[str, int], typed: str) -> None:
    number = zoo["failed"]
    site.change(zoo["pending"], parameters={"mentions": number})
    assert found(site, q=typed.format(number)) == [number]
    assert found(site, q=typed.format(number), state="completed") == []
    assert found(site, q=typed.format(999999)) == []


def test_case_is_nothing_in_any_alphabet(site: Site) -> None:
    job_id = site.dispatch(parameters={"where": "Straße nach École"})
    site.dispatch(parameters={"where": "elsewhere"})
    for term in ("STRASSE", "école", "straße NACH"):
        assert found(site, q=term) == [job_id]


def test_tabs_say_how_many_there_are_and_where_one_is(site: Site, zoo: dict[str, int]) -> None:
    page = parsed(page_of(site, state="failed", queue="mail", per_page=25))
    tabs = page.one("nav", class_="states").all("a")
    assert [tab.words for tab in tabs] == [
        "All",
        "Pending 3",
        "Running 1",
        "Retrying 1",
        "Scheduled 1",
        "Completed 1",
        "Failed 2",
        "Cancelled 1",
    ]
    assert [tab.words for tab in tabs if tab.attributes.get("aria-current") == "page"] == ["Failed 2"]
    assert tabs[0].attributes["href"] == "/dashboard/jobs?queue=mail&per_page=25"
    assert tabs[2].attributes["href"] == "/dashboard/jobs?state=running&queue=mail&per_page=25"


def test_counts_are_capped_and_shared(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bgjobs.dashboard.counts.COUNTED", 20)
    monkeypatch.setattr(choices, "shared", Shared(seconds=60.0))
    ids = site.dispatch_many(30, status="failed")
    first = parsed(page_of(site))
    assert first.one("a", id="tab-failed").words == "Failed 20+"
    assert first.one("p", class_="summary").words == "10 newest of 20+ jobs"
    site.execute("DELETE FROM background_jobs WHERE id > :least", least=ids[4])
    assert parsed(page_of(site)).one("a", id="tab-failed").words == "Failed 20+"


def test_what_there_is_to_choose_from(site: Site, zoo: dict[str, int]) -> None:
    page = parsed(page_of(site, **{"class": "gone.Class::run"}))
    (select,) = page.all("select", name="class")
    options = [option.words for option in select.all("option")]
    example = "bgjobs.example_job.ExampleJob"
    assert options == [
        "All classes",
        "gone.Class::run",
        "app.Other",
        "app.Other::run",
        "app.Other::send",
        example,
        f"{example}::run",
    ]
    assert [option.words for option in select.all("option") if "selected" in option.attributes] == [
        "gone.Class::run"
    ]
    assert [option.attributes["value"] for option in page.one("datalist").all("option")] == ["default", "mail"]


def test_what_is_ignored_is_said(site: Site) -> None:
    site.dispatch()
    html = page_of(site, state="exploded", foo="<b>", sort="x")
    assert [hint.words for hint in parsed(html).all("p", class_="hint")] == [
        f"Ignored unknown filter {name}." for name in ("state", "sort", "foo")
    ]
    assert len(shown_jobs(html)) == 1


# -- a row -------------------------------------------------------------------------------------------


def test_a_row_tells_of_its_job(site: Site) -> None:
    job_id = site.dispatch(parameters={"to": "ada", "password": "hunter22", "text": "long " * 40})
    began = NOW - timedelta(seconds=90)
    site.change(
        job_id,
        status="completed",
        attempt=2,
        retry_count=1,
        scheduled_at=began,
        started_at=began + timedelta(seconds=2),
        completed_at=began + timedelta(seconds=62),
    )
    html = page_of(site)
    cells = parsed(html).one("tr", id=f"job-{job_id}").all("td")
    assert cells[0].one("input").attributes["value"] == str(job_id)
    name = cells[1]
    assert name.one("a").attributes["href"] == f"/dashboard/jobs/{job_id}"
    assert name.one("a").words == f"ExampleJob::run #{job_id}"
    shown = name.one("span", class_="data").text
    assert shown.startswith('{"to":"ada","password":"••••••","text":"long long')
    assert len(shown) == 81
    assert [cell.words for cell in cells[2:7]] == ["Completed", "default", "2/4", "2.0 s", "1 m 00 s"]
    assert "hunter22" not in html


def test_what_goes_on_is_counted_on_by_the_browser(site: Site, zoo: dict[str, int]) -> None:
    page = parsed(page_of(site))
    for name, cell in (("running", 6), ("pending", 5)):
        time_of_it = page.one("tr", id=f"job-{zoo[name]}").all("td")[cell].one("time")
        assert "data-since" in time_of_it.attributes
    assert page.one("tr", id=f"job-{zoo['scheduled']}").all("td")[5].words == "–"


@pytest.mark.parametrize(
    ("allowed", "boxes", "buttons"),
    [
        ("read", 0, []),
        ({"edit", "kill"}, 0, []),
        ({"cancel"}, 1, ["Cancel"]),
        ("all", 1, ["Retry", "Cancel", "Delete"]),
    ],
)
def test_only_who_may_act_can_select(
    make_site: Callable[..., Site], allowed: object, boxes: int, buttons: list[str]
) -> None:
    site = make_site(BGJOBS_DASHBOARD_ACCESS=lambda request: allowed)
    site.dispatch()
    page = parsed(page_of(site))
    assert len(page.all("input", name="job")) == boxes
    assert [button.words for form in page.all("form", id="bulk") for button in form.all("button")] == buttons


def test_states_of_the_list_itself(site: Site) -> None:
    assert "No jobs yet" in page_of(site)
    site.dispatch()
    page = parsed(page_of(site, q="zebra", state="failed"))
    assert "No jobs match zebra among those that are failed." in page.one("main").words
    links = {link.words: link.attributes["href"] for link in page.one("div", class_="empty").all("a")}
    assert links == {"Look in all states": "/dashboard/jobs?q=zebra", "Clear all filters": "/dashboard/jobs"}
    assert "There are no further jobs" in page_of(site, before=1)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "10 newest of 23 jobs"),
        ({"sort": "oldest"}, "10 oldest of 23 jobs"),
        ({"per_page": 25}, "23 jobs"),
        ({"before": 5}, "4 of 23 jobs"),
        ({"queue": "mail"}, "1 job"),
        ({"q": "example"}, "The first 10 results"),
        ({"q": "example", "before": 5}, "4 further results"),
        ({"q": "#3"}, "1 job"),
        ({"q": "zebra"}, "No jobs"),
    ],
)
def test_says_how_many_there_are(site: Site, query: dict[str, object], words: str) -> None:
    site.dispatch_many(22)
    site.dispatch(queue="mail")
    assert parsed(page_of(site, **query)).one("p", class_="summary").words == words


# -- pages -------------------------------------------------------------------------------------------


def walk(site: Site, start: str, link: str, then: Callable[[], object] = lambda: None) -> Iterator[list[int]]:
    address: str | None = start
    for _ in range(60):
        assert address is not None
        html = site.get(address).text
        yield shown_jobs(html)
        address = addresses(html).get(link)
        if address is None:
            return
        then()
    raise AssertionError("there is no end to it")


QUERIES = [
    "",
    "state=completed",
    "class=bgjobs.example_job.ExampleJob",
    "class=bgjobs.example_job.ExampleJob::run",
    "queue=default",
    "q=exam",
    "class=bgjobs.example_job.ExampleJob&state=completed&queue=default",
    "from=2020-01-01",
    "per_page=25",
]


@pytest.mark.parametrize("walked", [8_000, 7])
@pytest.mark.parametrize("query", QUERIES)
def test_pages_have_neither_gap_nor_repeat_while_jobs_arrive(
    site: Site, monkeypatch: pytest.MonkeyPatch, query: str, walked: int
) -> None:
    """Also where a walk is given up before a page is full."""
    monkeypatch.setattr(matching, "WALKED", walked)
    ids = site.dispatch_many(33, status="completed")

    def arrive() -> None:
        site.dispatch_many(2, status="completed")

    older = [job for page in walk(site, f"/dashboard/jobs?{query}", "older", arrive) for job in page]
    assert older == ids[::-1]
    newer = [job for page in walk(site, f"/dashboard/jobs?{query}&sort=oldest", "newer") for job in page]
    assert newer[: len(ids)] == ids
    assert newer == sorted(set(newer))


@pytest.mark.parametrize("walked", [8_000, 7])
@pytest.mark.parametrize("query", ["", "state=completed", "queue=default"])
def test_the_way_back_leads_over_the_same_jobs(
    site: Site, monkeypatch: pytest.MonkeyPatch, query: str, walked: int
) -> None:
    monkeypatch.setattr(matching, "WALKED", walked)
    ids = site.dispatch_many(33, status="completed")
    back = list(walk(site, f"/dashboard/jobs?{query}&before={ids[3]}", "newer"))
    assert [job for page in back[:-1] for job in page[::-1]] == ids[: sum(map(len, back[:-1]))]
    assert back[-1] == found(site, **dict([query.split("=")] if query else []))
    up = list(walk(site, f"/dashboard/jobs?{query}&sort=oldest&after={ids[-3]}", "older"))
    seen = [job for page in up[:-1] for job in page[::-1]]
    assert seen == ids[::-1][: len(seen)]


def test_a_walk_that_is_given_up_says_so_and_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "WALKED", 10)
    (old,) = site.dispatch_many(1, queue="rare")
    site.dispatch_many(25)
    html = page_of(site, queue="rare")
    assert shown_jobs(html) == []
    hints = [hint.words for hint in parsed(html).all("p", class_="hint")]
    assert hints == ["Looked at the jobs back to #17 so far; the button below goes on from there."]
    pages = list(walk(site, "/dashboard/jobs?queue=rare", "older"))
    assert pages == [[], [], [old]]


def test_a_search_that_only_secrets_seem_to_match_is_given_up_early(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "WALKED", 5 * matching._WALKED_PER_TEXT)
    jobs = [site.dispatch(parameters={"password": "hunter22", "of": str(number)}) for number in range(20)]
    page = parsed(site.get("/dashboard/jobs?q=hunter").text)
    assert page.all("table", id="jobs") == []
    assert f"Looked at the jobs back to #{jobs[14]} so far" in page.one("main").words
    assert list(walk(site, "/dashboard/jobs?q=hunter", "older"))[-1] == []
    assert found(site, q='"of":"3"') == [jobs[3]]  # those that do not even seem to match cost nothing


def test_a_class_of_many_methods_is_walked_another_way(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "_MOST_METHODS", 2)
    ids = site.dispatch_many(4, class_name="app.Many")
    for number, job_id in enumerate(ids):
        site.change(job_id, method_name=f"m{number}")
    site.dispatch_many(3)
    assert found(site, **{"class": "app.Many"}) == ids[::-1]


@pytest.mark.parametrize("gap", [False, True])
def test_spans_of_time_whatever_is_missing_in_between(site: Site, gap: bool) -> None:
    ids = site.dispatch_many(60)
    for number, job_id in enumerate(ids):
        site.change(job_id, created_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number))
    if gap:
        site.execute("DELETE FROM background_jobs WHERE id % 3 <> 0 OR id BETWEEN 20 AND 40")
        ids = [job_id for job_id in ids if job_id % 3 == 0 and not 20 <= job_id <= 40]
    query = {"from": "2026-01-01T12:00", "to": "2026-01-02T20:00", "per_page": 100}
    assert found(site, **query) == [job_id for job_id in ids[::-1] if 12 <= job_id - 1 < 44]


def test_new_jobs_wait_while_the_reader_is_busy(site: Site) -> None:
    ids = site.dispatch_many(20)
    site.dispatch_many(3)
    html = site.get(f"/dashboard/jobs?top={ids[-1]}", headers=PARTIAL).text
    assert shown_jobs(html) == ids[::-1][:10]
    assert parsed(html).one("a", id="arrived").words == "3 new jobs – Show"
    oldest = site.get(f"/dashboard/jobs?sort=oldest&top={ids[-1]}", headers=PARTIAL).text
    assert not parsed(oldest).all("a", id="arrived")


def test_a_look_without_news_is_a_304_and_with_news_is_none(site: Site) -> None:
    (job_id,) = site.dispatch_many(1)
    client = site.client()
    tag = client.get("/dashboard/jobs", headers=PARTIAL).headers["HX-PTag"]
    again = {**PARTIAL, "HX-PTag": tag}
    assert client.get("/dashboard/jobs", headers=again).status_code == 304
    assert client.get("/dashboard/jobs?state=failed", headers=again).status_code == 200
    site.state.store.cancel(job_id)
    assert client.get("/dashboard/jobs", headers=again).status_code == 200


@pytest.mark.parametrize(
    "query", [*QUERIES, "state=retrying", "state=scheduled&sort=oldest", "before=9&queue=x", "q=7"]
)
def test_no_question_reads_or_sorts_the_whole_table(site: Site, query: str) -> None:
    """What the database plans to do: a look into an index, or a walk that a LIMIT ends."""
    site.dispatch_many(20)
    plans: list[tuple[str, str]] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *others: Any) -> None:
        plan = connection.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        plans.extend((statement, row[3]) for row in plan if statement.startswith("SELECT"))

    engine = site.state.store.database.engine
    event.listen(engine, "before_cursor_execute", explain)
    page_of(site, **dict(pair.split("=") for pair in query.split("&") if pair))
    event.remove(engine, "before_cursor_execute", explain)
    assert plans
    for statement, step in plans:
        if "LIMIT" not in statement:
            assert not step.startswith("SCAN background_jobs"), statement
        if step.startswith("SCAN background_jobs"):
            assert "COVERING INDEX ix_background_jobs_status" not in step, statement
    sorted_ones = {statement for statement, step in plans if "TEMP B-TREE" in step}
    # Two thousand names of queues, read as far as a LIMIT goes.
    assert all("DISTINCT" in statement for statement in sorted_ones), sorted_ones


# -- hostile values ----------------------------------------------------------------------------------

NAMES = (
    "state",
    "class",
    "method",
    "queue",
    "q",
    "from",
    "to",
    "sort",
    "per_page",
    "before",
    "after",
    "top",
    "result",
)
VALUES = [
    "\x00",
    "%",
    "_",
    "'; DROP TABLE background_jobs;--",
    "9" * 400,
    "-1",
    "é" * 300,
    "\ud800",
    "\u202e",
    "NaN",
    "2026-02-30",
    "9999-12-31T23:59:59",
    "0001-01-01",
    "<script>",
    "::",
    "a::b::c",
    "[]",
    "1e9",
]


@pytest.mark.parametrize("name", NAMES)
def test_values_that_make_no_sense(site: Site, name: str) -> None:
    site.dispatch_many(3)
    for value in VALUES:
        for kind in ({}, PARTIAL):
            started = time.process_time()  # whatever else the computer does
            address = f"/dashboard/jobs?{urlencode({name: value}, errors='surrogatepass')}"
            response = site.get(address, headers=kind)
            assert response.status_code == 200, (name, value)
            assert "<script>" not in response.text.partition("<body>")[2]
            assert time.process_time() - started < 3


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(query=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), st.text(max_size=12), max_size=5))
def test_any_query_is_answered(site: Site, query: dict[str, str]) -> None:
    address = f"/dashboard/jobs?{urlencode(query, errors='replace')}"
    assert site.get(address).status_code == 200


@pytest.mark.parametrize(
    "edit",
    [
        'parameters = \'{"password": "hunter22"\'',
        "class_name = x'ff', method_name = x'00', queue = x'ff'",
        "created_at = 'soon', scheduled_at = '', started_at = 'x', completed_at = 5",
        "retry_count = 'a', max_retries = x'00', attempt = ''",
        "status = 'exploded'",
        "status = x'ff'",
        "parameters = replace(hex(zeroblob(100000)), '00', '[')",
        "status = 'running', started_at = NULL",
        "retry_count = 9e999",
        "class_name = ''",
        "parameters = '[" + "9" * 5000 + "]'",
    ],
)
def test_an_edited_job_is_shown(site: Site, edit: str) -> None:
    site.dispatch_many(2)
    site.execute(f"UPDATE background_jobs SET {edit} WHERE id = 1")
    for query in (
        "",
        "?q=hunter22",
        "?q=a",
        "?class=x",
        "?from=2020-01-01",
        "?sort=oldest&queue=default",
        "?state=retrying",
    ):
        response = site.get(f"/dashboard/jobs{query}")
        assert response.status_code == 200, query
        assert "hunter22" not in (parsed(response.text).one("tbody").text if shown_jobs(response.text) else "")
    assert "job-1" in page_of(site)


def test_the_most_that_are_looked_at_for_all() -> None:
    """A page that is left half empty must be able to fill itself within an action on all."""
    assert queries._WALKED_FOR_ALL > matching.WALKED
