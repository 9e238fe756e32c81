"""The table in a browser: it searches while one types, and news never disturb who reads."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

from flask import abort, redirect, request
from live import Errors, LiveSite
from playwright.sync_api import Page, expect
from steps import WATCH_CHANGES, WATCH_SHIFTS, is_focused, look, rows, until, until_first_row

INSERT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=5)
connection.execute("INSERT INTO job_logs (background_job_id, type, message, created_at) "
                   "VALUES (1, 'failure', 'from another process', '2026-01-01 00:00:00.000000')")
connection.commit()
connection.close()
"""


def test_columns_and_badges(site: LiveSite, page: Page) -> None:  # 1
    page.goto(f"{site.url}?per_page=25")
    heads = page.locator("#logs thead th")
    assert heads.all_inner_texts() == ["Job ID", "Status Type", "Message", "Job Details", "Created"]
    for word, hue in (("Success", 1), ("Failure", 0), ("Info", 2)):
        badge = page.locator(".cell-type .badge", has_text=word).first
        expect(badge.locator("svg")).to_be_visible()
        for style, brighter in (("backgroundColor", True), ("color", False)):
            channels = page.evaluate(
                """([element, style]) => {
                    const context = new OffscreenCanvas(1, 1).getContext("2d");
                    context.fillStyle = getComputedStyle(element)[style];
                    context.fillRect(0, 0, 1, 1);
                    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
                }""",
                [badge.element_handle(), style],
            )
            assert channels[hue] == max(channels)
            assert (min(channels) > 150) is brighter


def test_times_are_relative_and_exact(site: LiveSite, page: Page) -> None:  # 1
    page.goto(site.url)
    time_of_row = page.locator(".cell-created time").first
    expect(time_of_row).to_have_text("1 hour ago")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time_of_row.get_attribute("datetime") or "")
    assert re.fullmatch(r"\d+ \w+ \d{4}, \d\d:\d\d:\d\d UTC", time_of_row.get_attribute("title") or "")


def test_rows_per_page(site: LiveSite, page: Page) -> None:
    page.goto(site.url)
    choice = page.locator("select[name=per_page]")
    assert choice.locator("option").all_inner_texts() == ["10", "25", "50", "100"]
    assert choice.input_value() == "10"
    expect(page.locator("#logs tbody tr")).to_have_count(10)
    choice.select_option("25")
    expect(page.locator("#logs tbody tr")).to_have_count(25)
    assert page.url.endswith("?per_page=25")
    page.reload()
    assert choice.input_value() == "25"


def test_a_log_of_another_process_is_seen_at_the_next_look(site: LiveSite, page: Page) -> None:  # 2
    """That is within two seconds; how punctual the clock of a busy computer is, is no matter of ours."""
    page.goto(site.url)
    page.evaluate("window.here = true")
    subprocess.run([sys.executable, "-c", INSERT, Path(site.app.instance_path, "app.db")], check=True)
    before = len(site.requests)
    expect(page.locator("#logs tbody tr").first).to_contain_text("from another process")
    assert len(site.requests) - before <= 2  # one may have been under way
    assert page.evaluate("window.here")
    expect(page.locator("#announcer")).to_have_text("1 new log, 1 failure.")


def test_typing_makes_one_search(site: LiveSite, page: Page) -> None:  # 3
    page.goto(site.url)
    length = page.evaluate("history.length")
    page.locator("#q").focus()
    searches: list[float] = []
    page.on("request", lambda sent: searches.append(time.monotonic()) if "q=" in sent.url else None)
    for key in "log 3":
        last_key = time.monotonic()  # before it: on a busy machine a press comes back late
        page.keyboard.press("Space" if key == " " else key)
        page.wait_for_timeout(60)
    expect(page.locator("#logs tbody tr")).to_have_count(3)
    page.wait_for_timeout(400)
    assert len(searches) == 1
    assert searches[0] - last_key > 0.25
    assert page.url.endswith("/dashboard?q=log+3")
    assert page.evaluate("history.length") == length
    expect(page.locator("#logs mark").first).to_have_text("log 3")
    expect(page.locator("#announcer")).to_have_text("3 results")


def test_typed_text_caret_and_focus_survive_news(site: LiveSite, page: Page) -> None:  # 4
    page.goto(site.url)
    page.locator("#q").press_sequentially("log 12345")
    expect(page.locator(".empty")).to_be_visible()
    page.evaluate("document.querySelector('#q').setSelectionRange(2, 5)")
    for _ in range(5):
        site.add_logs(1, ["log 12345 is new"])
        look(page)
    expect(page.locator("#logs tbody tr")).to_have_count(5)
    assert page.input_value("#q") == "log 12345"
    assert page.evaluate("[document.activeElement.id, q.selectionStart, q.selectionEnd]") == ["q", 2, 5]


def test_half_typed_text_is_no_search(site: LiveSite, page: Page) -> None:  # 3
    """A look between two keys asks for what is shown, and it does not eat the search that is about to come."""
    page.goto(site.url)
    page.locator("#q").press_sequentially("log 4")
    for _ in range(3):
        look(page)
    until(page, "location.search.includes('q=')")
    searched = next(n for n, (_, path, headers) in enumerate(site.requests) if "q=" in path)
    looked = [path for _, path, headers in site.requests[:searched] if "Hx-Ptag" in headers]
    assert looked == ["/dashboard"] * len(looked) != []
    expect(page.locator("#logs tbody tr")).to_have_count(3)


def test_a_stale_answer_never_replaces_a_newer_one(site: LiveSite, page: Page) -> None:  # 5
    release = threading.Event()

    def dawdle() -> None:
        if request.args.get("q") == "log 1":
            release.wait(5)

    site.intercept = dawdle
    page.goto(site.url)
    page.locator("#q").press_sequentially("log 1")
    with page.expect_request(re.compile(r"q=log\+1")):
        pass
    page.locator("#q").press("Backspace")
    page.locator("#q").press("2")
    expect(page.locator("#logs tbody tr").first).to_contain_text("log 2")
    release.set()
    look(page)
    assert all("log 2" in text for text in page.locator("#logs tbody .cell-message").all_inner_texts())
    assert page.url.endswith("q=log+2")


def test_what_a_reader_opened_and_selected_stays(site: LiveSite, page: Page) -> None:  # 6
    page.goto(site.url)
    page.locator("#logs .cell-details summary").nth(2).click()
    page.mouse.move(5, 5)
    page.evaluate(
        """() => {
            document.activeElement.blur();
            window.row = document.querySelectorAll("#logs tbody tr")[2];
            window.details = window.row.querySelector("details");
        }"""
    )
    site.add_logs(1, ["new"] * 3)
    look(page)
    assert rows(page)[:3] == [max(rows(page)) - n for n in range(3)]
    assert page.evaluate("window.row.isConnected && window.details.isConnected && window.details.open")
    assert page.evaluate("[...window.row.parentNode.children].indexOf(window.row)") == 5

    # A selection in the table: new rows wait, and the selection is left as it is.
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#logs tbody tr .cell-message p'))")
    top = page.evaluate("document.querySelector('#logs tbody tr').getBoundingClientRect().top")
    shown = rows(page)
    site.add_logs(1, ["newer", "newest"])
    look(page)
    assert rows(page) == shown
    assert page.evaluate("String(getSelection())").strip() == "new"
    assert page.evaluate("document.querySelector('#logs tbody tr').getBoundingClientRect().top") == top
    expect(page.locator("#arrived")).to_have_text("2 new logs – Show")


def test_new_rows_wait_until_the_reader_asks_for_them(site: LiveSite, page: Page) -> None:  # 6
    page.goto(site.url)
    page.locator("#logs tbody tr").nth(1).hover()
    shown = rows(page)
    new = site.add_logs(1, ["new"] * 3)
    look(page)
    look(page)
    assert rows(page) == shown
    expect(page.locator("#arrived")).to_have_text("3 new logs – Show")
    page.locator("#arrived").click()
    expect(page.locator("#arrived")).to_have_count(0)
    assert rows(page)[:3] == new[::-1]
    assert not is_focused(page, "body")
    page.mouse.move(5, 5)
    newer = site.add_logs(1, ["newer"])
    look(page)
    assert rows(page)[0] == newer[0]  # and they follow again


def test_focus_goes_to_a_row_when_its_own_is_gone(site: LiveSite, page: Page) -> None:  # 7
    page.goto(site.url)
    third = rows(page)[2]
    page.locator(f"#log-{third} a").focus()
    site.execute("DELETE FROM job_logs WHERE id = :id", id=third)
    site.add_logs(1, ["news"])  # what makes a look bring anything
    look(page)
    assert third not in rows(page)
    assert is_focused(page, f"#log-{rows(page)[2]} a")


def test_no_news_means_304_and_no_change_at_all(site: LiveSite, page: Page) -> None:  # 8
    page.goto(site.url)
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status) if answer.url == site.url else None)
    page.evaluate(WATCH_CHANGES)
    for _ in range(5):
        look(page)
    assert statuses == [304] * 5
    assert page.evaluate("window.changes") == []


def test_a_hidden_page_asks_for_nothing_and_catches_up(site: LiveSite, page: Page) -> None:  # 9
    page.clock.install()
    page.goto(site.url)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.clock.run_for(100)
    before = len(site.requests)
    for _ in range(6):
        page.clock.run_for(1000)
    assert len(site.requests) == before
    site.add_logs(1, ["meanwhile"])
    page.evaluate(
        "delete document.hidden; document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))"
    )
    page.clock.run_for(50)
    expect(page.locator("#logs tbody tr").first).to_contain_text("meanwhile")


def test_the_server_goes_and_comes_back(site: LiveSite, page: Page, errors: Errors) -> None:  # 10
    errors.expected = True
    page.clock.install()
    page.goto(site.logs)
    shown = rows(page)
    # Counted in the page, whose clock stands still meanwhile: the news of a request may come late.
    page.evaluate(
        "window.tried = 0; document.addEventListener('htmx:before:request', () => { window.tried += 1; })"
    )
    site.server.stop()
    gaps: list[int] = []
    for failures in range(1, 5):
        waited = 0
        while page.evaluate("window.tried") < failures:
            page.clock.run_for(500)
            waited += 500
            assert waited < 40_000
        gaps.append(waited)
        expect(page.locator("[data-live-words]")).to_have_text("Reconnecting…")
        until(page, "most => window.finished >= most", failures)
        if failures < 3:
            expect(page.locator("#connection")).to_be_empty()
    assert gaps == sorted(gaps)
    assert gaps[-1] > 3 * gaps[0]
    expect(page.locator("#connection")).to_contain_text(re.compile(r"Not updating since .* Trying again in \d+ s"))
    assert rows(page) == shown
    site.add_logs(1, ["back again"])
    site.server.start()
    page.get_by_role("button", name="Try now").click()
    page.clock.run_for(50)
    expect(page.locator("#logs tbody tr").first).to_contain_text("back again")
    expect(page.locator("#connection")).to_be_empty()
    expect(page.locator("[data-live-words]")).to_have_text("Live")


def test_an_error_page_is_never_put_into_the_table(site: LiveSite, page: Page, errors: Errors) -> None:  # 10
    errors.expected = True
    page.goto(site.url)
    shown = rows(page)
    site.intercept = lambda: abort(500)
    for _ in range(3):
        look(page)
    assert rows(page) == shown
    assert "Internal Server Error" not in page.locator("body").inner_text()
    expect(page.locator("#connection")).to_contain_text("Not updating since")
    site.intercept = None
    look(page)
    expect(page.locator("#connection")).to_be_empty()


def test_the_session_ends(site: LiveSite, page: Page, errors: Errors) -> None:  # 11
    errors.expected = True
    page.clock.install()
    page.goto(site.url)
    shown = rows(page)
    page.locator("#q").focus()
    site.intercept = lambda: abort(401)
    look_at = len(site.requests)
    page.clock.run_for(2100)
    expect(page.locator("#connection")).to_contain_text("Your session has ended")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    asked = len(site.requests)
    assert asked == look_at + 1
    for _ in range(10):
        page.clock.run_for(5000)
    assert len(site.requests) == asked
    page.keyboard.type("kept")
    assert page.input_value("#q") == "kept"
    assert rows(page) == shown


def test_a_login_page_is_never_put_into_the_table(site: LiveSite, page: Page) -> None:  # 11
    page.goto(site.url)
    shown = rows(page)
    site.intercept = lambda: "<h1>Who are you?</h1>" if request.path == "/login" else redirect("/login")
    look(page)
    expect(page.locator("#connection")).to_contain_text("Your session has ended")
    assert rows(page) == shown


def test_paging_and_going_back(site: LiveSite, page: Page) -> None:  # 12
    page.goto(site.url)
    first = rows(page)
    seen = list(first)
    for number in range(2):
        site.add_logs(1, [f"meanwhile {number}"] * 2)
        page.locator("#older").click()
        until_first_row(page, seen[-1] - 1)
        seen += rows(page)
        assert is_focused(page, "#older" if number == 0 else "#main")  # the last page has no older one
    assert seen == list(range(first[0], first[0] - 30, -1))
    assert seen == sorted(set(seen), reverse=True)
    third, address = rows(page), page.url
    page.reload()
    assert rows(page) == third
    page.locator("#newer").click()
    until_first_row(page, seen[10])
    page.go_back()
    until_first_row(page, third[0])
    assert page.url == address
    assert rows(page) == third
    look(page)
    assert rows(page) == third
    page.goto("about:blank")
    page.go_back()
    expect(page.locator("header.top")).to_be_visible()
    assert rows(page) == third


def test_going_back_restores_the_search_and_the_form(site: LiveSite, page: Page) -> None:  # 12
    page.goto(site.url)
    page.locator("#q").fill("log 5")
    expect(page.locator("#logs tbody tr")).to_have_count(3)
    page.get_by_role("radio", name="Failure").check()
    expect(page.locator("#logs tbody tr")).to_have_count(1)
    assert page.url.endswith("?q=log+5&type=failure")
    page.locator(".cell-job a").click()
    expect(page.locator("h1")).to_contain_text("ExampleJob::run")
    page.go_back()
    expect(page.locator("#logs tbody tr")).to_have_count(1)
    assert page.input_value("#q") == "log 5"
    page.go_back()
    expect(page.locator("#logs tbody tr")).to_have_count(3)
    expect(page.locator("input[name=type][value='']")).to_be_checked()
    page.select_option("select[name=per_page]", "25")
    page.wait_for_url("**per_page=25")
    page.locator("#q").fill("nowhere")
    page.get_by_role("link", name="Clear search").click()
    expect(page.locator("#logs tbody tr")).to_have_count(25)
    assert page.input_value("#q") == ""


def test_live_updates_can_be_stopped(site: LiveSite, page: Page) -> None:
    page.clock.install()
    page.goto(site.url)
    choice, words = page.get_by_label("Updates"), page.locator("[data-live-words]")
    expect(words).to_have_text("Live")
    choice.select_option("Paused")
    before = len(site.requests)
    page.clock.run_for(70_000)
    assert len(site.requests) == before
    page.reload()
    expect(words).to_have_text("Paused")
    assert choice.input_value() == "0"
    before = len(site.requests)
    page.clock.run_for(10_000)
    assert len(site.requests) == before
    site.add_logs(1, ["on again"])
    choice.select_option("5 s")
    page.clock.run_for(100)
    expect(page.locator("#logs tbody tr").first).to_contain_text("on again")


def test_who_pauses_is_not_told_of_another_try(site: LiveSite, page: Page, errors: Errors) -> None:
    errors.expected = True
    page.goto(site.url)
    site.server.stop()
    for _ in range(3):
        look(page)
    expect(page.locator("#connection")).to_contain_text("Trying again")
    page.get_by_label("Updates").select_option("Paused")
    expect(page.locator("#connection")).to_be_empty()
    expect(page.locator("[data-live-words]")).to_have_text("Paused")


def test_nothing_shifts_by_itself(site: LiveSite, page: Page) -> None:  # 19
    page.goto(f"{site.url}?per_page=25")
    page.locator("#logs tbody tr").nth(3).hover()
    page.evaluate(WATCH_SHIFTS)
    for number in range(10):
        site.add_logs(1, [f"news {number}"])
        look(page)
    expect(page.locator("#arrived")).to_have_text("10 new logs – Show")
    page.wait_for_timeout(100)
    assert page.evaluate("window.shift") == 0


def test_deleted_sqlite_rows_do_not_linger(site: LiveSite, page: Page) -> None:
    page.goto(site.url)
    with sqlite3.connect(Path(site.app.instance_path, "app.db")) as connection:
        connection.execute("DELETE FROM job_logs")
    connection.close()
    look(page)
    expect(page.locator(".empty")).to_contain_text("No jobs yet")
