"""The log table: what it shows, how it is searched, how one pages through it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from urllib.parse import urlencode

import pytest
from pages import addresses, parsed, shown_logs
from sites import PARTIAL, Site


def test_shows_the_columns_of_the_original(site: Site) -> None:
    site.dispatch(parameters={"key": "value"})
    table = parsed(site.get("/dashboard").text).one("table")
    assert [head.words for head in table.all("th")] == [
        "Job ID",
        "Status Type",
        "Message",
        "Job Details",
        "Created",
    ]
    assert all(head.attributes["scope"] == "col" for head in table.all("th"))
    assert len(table.one("tbody").all("tr")) == 3


def test_newest_comes_first(site: Site) -> None:
    ids = site.add_logs(site.dispatch(), [f"log {n}" for n in range(5)])
    assert shown_logs(site.get("/dashboard").text)[:5] == ids[::-1]


@pytest.mark.parametrize(
    ("kind", "word", "classes"),
    [
        ("success", "Success", "badge bg-green-100 text-green-800"),
        ("failure", "Failure", "badge bg-red-100 text-red-800"),
        ("info", "Info", "badge bg-blue-100 text-blue-800"),
    ],
)
def test_badges_have_the_classes_of_the_original_an_icon_and_a_word(
    site: Site, kind: str, word: str, classes: str
) -> None:
    (number,) = site.add_logs(site.dispatch(), ["here"], kind)
    row = parsed(site.get("/dashboard").text).one("tr", id=f"log-{number}")
    badge = row.one("td", class_="cell-type").one("span")
    assert (badge.attributes["class"], badge.words) == (classes, word)
    assert badge.all("svg")


def test_a_row_leads_to_its_job_and_tells_of_it(site: Site) -> None:
    job_id = site.dispatch(parameters={"to": "ada", "password": "hunter22"})
    row = parsed(site.get("/dashboard").text).all("tr", role="row")[1]
    assert row.one("a").attributes["href"] == f"/dashboard/jobs/{job_id}"
    details = row.one("td", class_="cell-details")
    assert "ExampleJob::run" in details.words
    assert "bgjobs.example_job.ExampleJob::run" in details.words
    assert '"to": "ada"' in details.text
    assert "hunter22" not in details.text


def test_time_is_relative_and_exact(site: Site) -> None:
    site.add_logs(site.dispatch(), ["an hour old"])
    time = parsed(site.get("/dashboard").text).all("time")[0]
    assert time.words == "1 hour ago"
    assert (time.attributes["title"] or "").endswith(" UTC")
    assert (time.attributes["datetime"] or "").endswith("Z")


# -- states ------------------------------------------------------------------------------------------


def test_says_that_there_are_no_jobs_yet_and_how_to_run_one(site: Site) -> None:
    page = site.get("/dashboard").text
    assert "No jobs yet" in page
    assert "flask run-job" in page
    assert "run_background_job(" in page


def test_says_that_nothing_matches_and_how_to_go_on(site: Site) -> None:
    site.dispatch()
    page = parsed(site.get("/dashboard?q=zebra").text)
    assert "No logs match zebra" in page.one("main").words
    (clear,) = [link for link in page.all("a") if link.words == "Clear search"]
    assert clear.attributes["href"] == "/dashboard"


def test_says_that_there_are_none_of_this_type(site: Site) -> None:
    site.dispatch()
    assert "There are no logs of this type" in site.get("/dashboard?type=failure").text


@pytest.mark.parametrize(
    ("query", "summary"),
    [
        ("", "1–10 of 40 logs"),
        ("page=2", "11–20 of 40 logs"),
        ("type=success", "1–3 of 3 logs"),
        ("q=log 7", "1 result"),
    ],
)
def test_says_how_many_there_are(site: Site, query: str, summary: str) -> None:
    site.add_logs(site.dispatch(), [f"log {n}." for n in range(37)])
    page = parsed(site.get(f"/dashboard?{query.replace(' ', '+')}").text)
    assert page.one("p", class_="summary").words == summary


# -- search ------------------------------------------------------------------------------------------

MESSAGES = [
    "Die Straße nach École",
    "Scheduled retry attempt 1 of 3 in 5 s",
    '100 % done_with \\ it\'s "quoted"',
    "ValueError: no such user 7 (attempt 1 of 4)",
    "İstanbul ΑΣ",
    "x",
]


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not indexed yet"])
@pytest.mark.parametrize(
    "term",
    [
        "RETRY", "retry att", "straße", "STRASSE", "strasse", "école", "ÉCOLE", "cole", "%", "_", "\\", "'", '"',
        "it's", "% done", "done_with", "e", "no", "attempt 1 of", "x", "zebra", "-", "user 7", "ας", "istanbul",
        '" OR 1=1--', "*", "NEAR(", "a*", "(", "message:", "^x", "{", "(attempt 1 of 4)", "i̇stanbul",
    ],
)  # fmt: skip
def test_finds_what_python_finds(site: Site, indexed: bool, term: str) -> None:
    """Partial, whatever the case, in every alphabet, and with every character meaning itself."""
    ids = site.add_logs(site.dispatch(), MESSAGES)
    site.execute("DELETE FROM job_logs WHERE id < :first", first=ids[0])
    if indexed:
        site.index_logs()
    expected = [
        number for number, message in zip(ids, MESSAGES, strict=True) if term.casefold() in message.casefold()
    ]
    assert shown_logs(site.get(f"/dashboard?{urlencode({'q': term})}").text) == expected[::-1]


def test_finds_in_the_indexed_and_in_the_new_part(site: Site) -> None:
    job_id = site.dispatch()
    (old,) = site.add_logs(job_id, ["a giraffe, indexed"])
    site.index_logs()
    (new,) = site.add_logs(job_id, ["a Giraffe, new"])
    assert shown_logs(site.get("/dashboard?q=giraffe").text) == [new, old]


def test_finds_by_the_number_of_the_job(site: Site) -> None:
    site.dispatch()
    job_id = site.dispatch()
    for term in (str(job_id), f"#{job_id}"):
        found = parsed(site.get(f"/dashboard?{urlencode({'q': term})}").text)
        jobs = {cell.words for cell in found.all("td", class_="cell-job")}
        assert f"#{job_id}" in jobs
    assert jobs == {f"#{job_id}"}


def test_type_and_term_go_together(site: Site) -> None:
    job_id = site.dispatch()
    (failure,) = site.add_logs(job_id, ["the giraffe fell"], "failure")
    site.add_logs(job_id, ["the giraffe stands"], "info")
    for _ in range(2):
        assert shown_logs(site.get("/dashboard?q=giraffe&type=failure").text) == [failure]
        site.index_logs()


def test_marks_what_was_found(site: Site) -> None:
    site.add_logs(site.dispatch(), ["<b>Die Straße</b>"])
    marks = parsed(site.get("/dashboard?q=STRASSE").text).all("mark")
    assert [mark.text for mark in marks] == ["Straße"]


def test_shows_the_place_of_the_match_in_a_long_message(site: Site) -> None:
    site.add_logs(site.dispatch(), [f"{'long ' * 200}giraffe{' tail' * 200}"])
    cell = parsed(site.get("/dashboard?q=giraffe").text).one("td", class_="cell-message")
    short, whole = cell.all("p")
    assert "giraffe" in short.text
    assert len(short.text) < 300
    assert len(whole.text) > 1900


@pytest.mark.parametrize("term", ["zq", "zqx"])
def test_says_what_was_left_out(site: Site, monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setattr("bgjobs.dashboard.logs.matching.SCANNED", 10)
    site.add_logs(site.dispatch(), ["zqx is far down"] + ["new"] * 50)
    page = site.get(f"/dashboard?q={term}").text
    assert shown_logs(page) == []
    hint = parsed(page).one("p", class_="hint").words
    assert hint.startswith("Searched the newest 10 logs" if term == "zq" else "44 logs are still being indexed")


# -- pages -------------------------------------------------------------------------------------------


def walk(site: Site, start: str, link: str, then: Callable[[], object] = lambda: None) -> list[list[int]]:
    """The logs of each page from ``start`` on, following ``link`` to its end."""
    pages, address = [], start
    while True:
        html = site.get(address).text
        pages.append(shown_logs(html))
        further = addresses(html).get(link)
        if further is None or len(pages) > 50:
            return pages
        address = further
        then()


@pytest.mark.parametrize("query", ["", "?type=info", "?q=log", "?q=o", "?q=%231", "?q=log&type=info&per_page=25"])
def test_older_pages_have_neither_gap_nor_repeat_while_logs_arrive(site: Site, query: str) -> None:  # 12
    job_id = site.dispatch()
    ids = site.add_logs(job_id, [f"log {n}" for n in range(60)])
    site.execute("DELETE FROM job_logs WHERE id < :first", first=ids[0])
    site.index_logs()
    pages = walk(site, f"/dashboard{query}", "older", then=lambda: site.add_logs(job_id, ["log of now"] * 3))
    assert list(chain.from_iterable(pages)) == ids[::-1]


@pytest.mark.parametrize("query", ["", "?type=info", "?q=log", "?q=o", "?q=%231"])
def test_newer_pages_lead_back_the_same_way(site: Site, query: str) -> None:  # 12
    ids = site.add_logs(site.dispatch(), [f"log {n}" for n in range(40)])
    site.execute("DELETE FROM job_logs WHERE id < :first", first=ids[0])
    site.index_logs()
    separator = "&" if query else "?"
    last = walk(site, f"/dashboard{query}{separator}before={ids[10]}", "newer")
    assert last == [ids[:10][::-1], ids[10:20][::-1], ids[20:30][::-1], ids[30:40][::-1]]


def test_a_page_by_number_shows_what_it_always_did(site: Site) -> None:
    ids = site.add_logs(site.dispatch(), [f"log {n}" for n in range(40)])
    assert shown_logs(site.get("/dashboard?page=2").text) == ids[::-1][10:20]
    assert shown_logs(site.get("/dashboard?page=2&per_page=25").text)[:15] == ids[::-1][25:]


def test_newer_than_less_than_a_page_is_the_newest_page(site: Site) -> None:
    ids = site.add_logs(site.dispatch(), [f"log {n}" for n in range(40)])
    html = site.get(f"/dashboard?after={ids[-4]}").text
    assert shown_logs(html) == ids[::-1][:10]
    assert "newer" not in addresses(html)


def test_beyond_the_oldest_log_there_is_a_way_back(site: Site) -> None:
    site.dispatch()
    page = parsed(site.get("/dashboard?before=1").text)
    assert "There are no older logs" in page.one("main").words


def test_links_keep_what_was_asked_for(site: Site) -> None:
    site.add_logs(site.dispatch(), [f"log {n}" for n in range(60)])
    older = addresses(site.get("/dashboard?q=log&type=info&per_page=25").text)["older"]
    assert older.startswith("/dashboard?q=log&type=info&per_page=25&before=")


def test_counts_no_further_than_ten_thousand(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bgjobs.dashboard.counts.COUNTED", 20)
    ids = site.add_logs(site.dispatch(), [f"log {n}" for n in range(60)])
    page = parsed(site.get("/dashboard").text)
    assert page.one("p", class_="summary").words == "1–10 of 20+ logs"
    deep = parsed(site.get(f"/dashboard?before={ids[10]}").text)
    assert "older than the newest" in deep.one("p", class_="summary").words


# -- what a reader holds on to -----------------------------------------------------------------------


def test_new_logs_wait_while_the_reader_is_busy(site: Site) -> None:
    job_id = site.dispatch()
    ids = site.add_logs(job_id, [f"log {n}" for n in range(20)])
    arrived = site.add_logs(job_id, ["new"] * 3)
    html = site.get(f"/dashboard?top={ids[-1]}", headers=PARTIAL).text
    assert shown_logs(html) == ids[::-1][:10]
    pill = parsed(html).one("a", id="arrived")
    assert pill.words == "3 new logs – Show"
    assert pill.attributes["href"] == "/dashboard"
    site.add_logs(job_id, ["new"] * 150)
    html = site.get(f"/dashboard?top={ids[-1]}", headers=PARTIAL).text
    assert parsed(html).one("a", id="arrived").words == "99+ new logs – Show"
    assert shown_logs(site.get("/dashboard", headers=PARTIAL).text)[-1] > arrived[-1]
