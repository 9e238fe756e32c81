"""Whatever stands in an address or in a row is shown as text, quickly, and never breaks a page."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import Element, parsed, shown_logs
from sites import PARTIAL, Site

from bgjobs.locations import templates_folder

NUMBERS = [
    "10**9", "1000000000", "-1", "0", "1e9", "NaN", "inf", "9" * 5000, "7", "abc", "", " ", "1.5", "0x10", "１",
    "٣", "1;drop", "%00", "null", "[]", "1 ", "+1", "18446744073709551616", "9223372036854775807",
]  # fmt: skip


@pytest.mark.parametrize("name", ["page", "per_page", "before", "after", "top", "type", "sort"])
def test_values_that_make_no_sense(site: Site, name: str) -> None:
    site.dispatch()
    for value in NUMBERS:
        started = time.monotonic()
        response = site.get(f"/dashboard?{urlencode({name: value})}")
        assert response.status_code == 200
        assert len(parsed(response.text).all("tr")) <= 1 + 100
        assert time.monotonic() - started < 3


def test_values_that_are_given_twice_or_in_another_form(site: Site) -> None:
    site.dispatch()
    for query in ("page=1&page=2", "page[]=1", "q=a&q=b", "&&&", "=", "%", "%ff=%fe", "q=%ff%fe", "a" * 5000):
        assert site.get(f"/dashboard?{query}").status_code == 200


def test_sorting_and_filtering_are_not_for_the_address(site: Site) -> None:
    ids = site.add_logs(site.dispatch(), ["one", "two"])
    for query in ("sort=id;drop table job_logs", "sort=message", "type=info' OR 1=1--", "type=parameters"):
        assert shown_logs(site.get(f"/dashboard?{quote(query, safe='=&')}").text)[:2] == ids[::-1]


@pytest.mark.parametrize(
    "term",
    ["%" * 50_000, "_" * 1000, "a" * 100_000, "\x00", "a\x00b", "'; DROP TABLE job_logs;--", "\ud800", '"' * 300,
     "\u202e", "\n"],
    ids=lambda term: repr(term[:12]),
)  # fmt: skip
def test_hostile_terms(site: Site, term: str) -> None:
    site.add_logs(site.dispatch(), ["aaa bbb"] * 300)
    site.index_logs()
    started = time.monotonic()
    response = site.get(f"/dashboard?q={quote(term.encode('utf-8', 'surrogatepass'))[:400_000]}")
    assert response.status_code == 200
    assert time.monotonic() - started < 3
    assert len(parsed(response.text).one("input", id="q").attributes["value"] or "") <= 200


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(term=st.text(max_size=12))
def test_any_text_can_be_searched_for(site: Site, term: str) -> None:
    response = site.get(f"/dashboard?{urlencode({'q': term}, errors='replace')}")
    assert response.status_code == 200


# -- text that would be markup -----------------------------------------------------------------------

CORPUS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover=alert(1) x='",
    "javascript:alert(1)",
    "</title><script>alert(1)</script>",
    "</textarea></pre></td></tr></table><h1>",
    "{{7*7}}{% if 1 %}",
    "<div hx-get=/x hx-trigger=load>",
    "<b hx-on:click=alert(1)>",
    "<!--",
    "<hx-partial hx-target=body>",
    "<template hx type=partial>",
    "\x1b[31mred\x1b[0m\x07",
    "\u202egnirts\u202c",
    "&lt;script&gt;",
]


def shape(element: Element) -> list[tuple[str, tuple[str, ...]]]:
    """The elements of a page and the names of their attributes."""
    found = []
    for child in element.children:
        if isinstance(child, Element):
            found.append((child.tag, tuple(child.attributes)))
            found += shape(child)
    return found


def fill(site: Site, text: str) -> int:
    """A job that has ``text`` wherever a text can be."""
    job_id = site.dispatch("slow")
    site.change(
        job_id,
        class_name=text,
        method_name=text,
        parameters={text: [text]},
        queue=text,
        error_message=text,
        progress_done=1,
        progress_total=2,
        progress_message=text,
        result={text: text},
        status="failed",
        host=text,
    )
    site.execute("DELETE FROM job_logs")
    site.add_logs(job_id, [text], "failure")
    site.add_attempt(job_id, exception_type=text, exception_message=text, traceback=f"{text}\n{text}", host=text)
    Path(site.state.folder.output_file(job_id, 1)).write_text(text)
    return job_id


@pytest.mark.parametrize("text", CORPUS)
def test_text_adds_no_element_and_no_attribute(make_site: Callable[..., Site], text: str) -> None:  # 20
    harmless, hostile = make_site(), make_site()
    fill(harmless, "harmless")
    fill(hostile, text)
    for path in ("/dashboard", "/dashboard/jobs/1"):
        for headers in ({}, PARTIAL):
            expected, page = (parsed(site.get(path, headers=headers).text) for site in (harmless, hostile))
            without_breaks = [[item for item in shape(it) if item[0] != "wbr"] for it in (expected, page)]
            assert without_breaks[0] == without_breaks[1]
            assert "\x1b" not in page.text
            assert "\u202e" not in page.text


@pytest.mark.parametrize("text", CORPUS)
def test_the_example_is_harmless_whatever_it_is_given(make_site: Callable[..., Site], text: str) -> None:
    """S36: what people try out first, and with what."""
    site = make_site(BGJOBS_BACKEND="inline")
    calls = {
        "run": {"to": text, "nested": [{"deep": text}]},
        "slow": {"seconds": -1, "steps": -5},
        "fail": {"message": text},
        "flaky": {"failures": text},
    }
    for method, parameters in calls.items():
        job_id = site.dispatch(method, parameters, max_retries=0)
        assert site.row(job_id).status == ("completed" if method in ("run", "slow") else "failed"), method
        response = site.get(f"/dashboard/jobs/{job_id}")
        assert response.status_code == 200
        assert "\x1b" not in response.text


@pytest.mark.parametrize("text", CORPUS)
def test_what_was_searched_for_is_echoed_as_text(site: Site, text: str) -> None:
    site.dispatch()
    query = urlencode({"q": text})
    expected, page = parsed(site.get("/dashboard?q=harmless").text), parsed(site.get(f"/dashboard?{query}").text)
    assert shape(expected) == shape(page)


@pytest.mark.parametrize("text", CORPUS)
def test_a_path_is_echoed_as_text(site: Site, text: str) -> None:
    site.dispatch()
    path = quote(text, safe="").replace("%2F", "")
    expected, page = (
        parsed(site.get("/dashboard/jobs/none").text),
        parsed(site.get(f"/dashboard/jobs/{path}").text),
    )
    assert shape(expected) == shape(page)


def test_unknown_states_are_shown(site: Site) -> None:
    job_id = fill(site, "text")
    site.change(job_id, status="exploded", retry_count=-7)
    site.add_logs(job_id, ["odd"], "peculiar")
    assert "exploded" in site.get(f"/dashboard/jobs/{job_id}").text
    assert "peculiar" in site.get("/dashboard").text


def test_nothing_is_taken_for_safe() -> None:
    """Autoescaping is never switched off, neither in a template nor in the code."""
    templates = list(Path(templates_folder()).rglob("*.html"))
    code = list((Path(__file__).resolve().parents[2] / "bgjobs" / "dashboard").glob("*.py"))
    assert len(templates) > 5
    assert len(code) > 10
    for file in (*templates, *code):
        assert not re.search(r"\|\s*safe|Markup|autoescape\s+false|render_template_string", file.read_text()), file


# -- rows that somebody edited -----------------------------------------------------------------------

EDITS = {
    "parameters that are no JSON": 'parameters = \'{"password": "hunter22"\'',
    "parameters that are pickle": "parameters = x'80049500'",
    "parameters too deep": "parameters = replace(hex(zeroblob(100000)), '00', '[')",
    "a huge parameter": "parameters = '{\"a\": \"' || replace(hex(zeroblob(500000)), '00', 'ab') || '\"}'",
    "a big number": "parameters = '[" + "9" * 5000 + "]'",
    "times that are none": "created_at = 'soon', scheduled_at = '', started_at = 'x', completed_at = 5",
    "numbers that are none": "retry_count = 'a', max_retries = x'00', priority = 1.5, attempt = '', timeout = 'b'",
    "no progress": "progress_done = 'a', progress_total = 'b'",
    "infinite progress": "progress_done = 9e999, progress_total = 9e999, status = 'running'",
    "progress backwards": "progress_done = -5, progress_total = -10, status = 'running'",
    "a result that is no JSON": "result = 'nope', status = 'completed'",
    "blobs": "class_name = x'ff', method_name = x'00', error_message = x'ff', queue = x'ff', host = x'ff'",
    "an unknown status": "status = 'exploded'",
    "a forbidden class": "class_name = 'os', method_name = 'system'",
    "running by nobody": "status = 'running', pid = -1, host = NULL, started_at = NULL",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_job_is_shown(site: Site, edit: str) -> None:
    job_id = site.dispatch()
    site.add_attempt(job_id)
    site.execute(f"UPDATE background_jobs SET {edit}")
    for path in ("/dashboard", f"/dashboard/jobs/{job_id}", f"/dashboard/jobs/{job_id}/attempts/1/output"):
        response = site.get(path)
        assert response.status_code == 200, response.text
        assert "hunter22" not in response.text
        assert len(response.text) < 300_000
    assert site.get(f"/dashboard/_/jobs/{job_id}/usage", headers=PARTIAL).status_code == 200


@pytest.mark.parametrize(
    "edit",
    [
        "type = x'ff'",
        "type = ''",
        "created_at = 'x'",
        "message = x'ff00'",
        "message = ''",
        "background_job_id = 77",
    ],
)
def test_an_edited_log_is_shown(site: Site, edit: str) -> None:
    job_id = site.dispatch()
    with closing(sqlite3.connect(Path(site.app.instance_path, "app.db"))) as connection:
        connection.execute(f"UPDATE job_logs SET {edit}")  # without foreign keys, which are ours to switch on
        connection.commit()
    for path in (
        "/dashboard",
        "/dashboard?q=zz",
        "/dashboard?q=back",
        "/dashboard?q=7",
        f"/dashboard/jobs/{job_id}",
    ):
        assert site.get(path).status_code == 200


@pytest.mark.parametrize(
    "edit",
    ["number = 'x'", "started_at = 'x'", "ended_at = 'x'", "outcome = 'odd'", "exit_status = 'x'",
     "peak_rss = 'x'", "exit_status = -99", "exit_status = 99999999999", "traceback = x'ff'",
     "cpu_seconds = 'x'", "pid = 'x'"],
)  # fmt: skip
def test_an_edited_attempt_is_shown(site: Site, edit: str) -> None:
    job_id = site.dispatch()
    site.add_attempt(job_id)
    site.execute(f"UPDATE job_attempts SET {edit}")
    assert site.get(f"/dashboard/jobs/{job_id}").status_code == 200


def test_a_long_message_does_not_make_a_heavy_page(site: Site) -> None:  # 20
    job_id = site.dispatch()
    site.add_logs(job_id, ["<" * 10_000_000])
    for path in ("/dashboard", f"/dashboard/jobs/{job_id}"):
        started = time.monotonic()
        assert len(site.get(path).text) < 200_000
        assert time.monotonic() - started < 5
