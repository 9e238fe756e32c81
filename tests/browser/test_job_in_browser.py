"""The page of a job in a browser: its buttons, its growing output, and other people's pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask
from live import Errors, LiveSite, Server
from playwright.sync_api import BrowserContext, Page, expect
from steps import is_focused, look, until


def run(site: LiveSite, job_id: int = 2) -> Path:
    """Let a job look as if it ran; the file of its output."""
    site.change(job_id, status="running", started_at=datetime.now(UTC))
    site.add_attempt(job_id, ended_at=None, outcome=None)
    return Path(site.state.folder.output_file(job_id, 1))


def test_cancel_asks_first(site: LiveSite, page: Page) -> None:  # 15
    run(site)
    page.goto(f"{site.url}/jobs/2")
    button, dialog = page.get_by_role("button", name="Cancel", exact=True), page.locator("dialog[open]")
    button.click()
    expect(dialog).to_contain_text(
        "Ask job #2 to stop? It gets SIGTERM, then SIGKILL if it still runs after 10 s."
    )
    assert is_focused(page, "dialog button[value='']")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert is_focused(page, "#cancel")
    button.click()
    page.get_by_role("button", name="Leave it").click()
    expect(dialog).to_be_hidden()
    assert site.row(2).cancel_requested_at is None
    button.click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator(".job-state")).to_contain_text("asked to stop")
    expect(button).to_have_count(0)
    assert not is_focused(page, "body")
    assert site.row(2).cancel_requested_at is not None


def test_retry_acts_once_however_often_it_is_pressed(site: LiveSite, page: Page) -> None:  # 15
    site.change(1, status="failed")
    page.goto(f"{site.url}/jobs/1")
    page.get_by_role("button", name="Retry").dblclick()
    expect(page.locator(".job-state")).to_have_text("Pending")
    expect(page.locator("#announcer")).to_have_text("Job 1: Pending")
    assert [request[:2] for request in site.requests if request[0] == "POST"] == [
        ("POST", "/dashboard/jobs/1/retry")
    ]
    assert site.messages(1)[-1] == ("info", "Retried on the dashboard")


def test_too_late_is_said_beside_the_job(site: LiveSite, page: Page, errors: Errors) -> None:  # 15
    errors.expected = True  # the console notes every 409
    page.goto(f"{site.url}/jobs/1")
    site.change(1, status="completed")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#answer")).to_contain_text("Job #1 is completed, so it cannot be cancelled.")
    assert page.url.endswith("/dashboard/jobs/1")
    look(page)
    expect(page.locator(".job-state")).to_have_text("Completed")


def test_output_grows_under_the_eyes_of_the_reader(site: LiveSite, page: Page) -> None:
    path = run(site)
    path.write_text("".join(f"line {n}\n" for n in range(60)))
    page.goto(f"{site.url}/jobs/2")
    output = page.locator("#output-1")
    at_its_end = "it => it.scrollHeight - it.scrollTop - it.clientHeight < 5"
    assert output.evaluate(at_its_end)
    output.evaluate("it => { window.node = it; window.text = it.firstChild; }")
    with path.open("a") as file:
        file.write("and on\n")
    look(page)
    expect(output).to_contain_text("and on")
    assert output.evaluate("it => it === window.node && it.firstChild === window.text")
    assert output.evaluate(at_its_end)

    output.evaluate("it => { it.scrollTop = 50; }")
    with path.open("a") as file:
        file.write("and further\n")
    look(page)
    expect(output).to_contain_text("and further")
    assert output.evaluate("it => it.scrollTop") == 50

    path.write_text("trimmed\n")
    look(page)
    expect(output).to_have_text("trimmed\n")


def test_a_selection_in_the_output_is_left_alone(site: LiveSite, page: Page) -> None:  # 6
    page.clock.install()
    path = run(site)
    path.write_text("one\n")
    page.goto(f"{site.url}/jobs/2")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#output-1'))")
    before = len(site.requests)
    page.clock.run_for(10_000)
    assert len(site.requests) == before
    page.evaluate("getSelection().removeAllRanges()")
    page.clock.run_for(3000)
    until(page, "window.finished > 0")


def test_progress_and_closed_details_live_on(site: LiveSite, page: Page) -> None:
    run(site)
    site.change(2, progress_done=1, progress_total=4, updated_at=datetime.now(UTC))
    page.goto(f"{site.url}/jobs/2")
    expect(page.locator("progress")).to_have_attribute("value", "25")
    page.locator("#attempt-1 summary").click()
    site.change(2, progress_done=2, updated_at=datetime.now(UTC))
    look(page)
    expect(page.locator("progress")).to_have_attribute("value", "50")
    assert page.locator("#attempt-1").get_attribute("open") is None
    site.change(2, status="completed", updated_at=datetime.now(UTC))
    look(page)
    expect(page.locator(".job-state")).to_have_text("Completed")
    expect(page.locator("#announcer")).to_have_text("Job 2: Completed")


def test_a_job_that_is_removed_while_one_looks(site: LiveSite, page: Page, errors: Errors) -> None:
    errors.expected = True
    page.goto(f"{site.url}/jobs/2")
    site.execute("DELETE FROM background_jobs WHERE id = 2")
    look(page)
    expect(page.locator("#connection")).to_contain_text("This job is not there any more")
    expect(page.locator("h1")).to_contain_text("ExampleJob::slow")


def test_a_tab_that_was_open_before_still_acts(
    site: LiveSite, open_context: Callable[..., BrowserContext]
) -> None:
    """Coming from another site, a browser keeps the cookie back, so it gets a new token. The next look of the
    older tab brings that token there."""
    site.change(1, status="failed")
    context = open_context()
    tab = context.new_page()
    tab.goto(f"{site.url}/jobs/1")
    context.clear_cookies()
    context.new_page().goto(f"{site.url}/jobs/1")
    look(tab)
    tab.get_by_role("button", name="Retry").click()
    expect(tab.locator(".job-state")).to_have_text("Pending")


def test_a_foreign_page_cannot_act(site: LiveSite, page: Page, errors: Errors) -> None:  # 14
    """Another port of this computer is another origin, and another name is another site."""
    errors.expected = True
    page.goto(f"{site.url}/jobs/1")
    target = f"{site.url}/jobs/1/cancel"
    foreign = Flask("foreign")
    foreign.add_url_rule(
        "/", view_func=lambda: f"<form method=post action='{target}'><button>Win a prize</button></form>"
    )
    server = Server(foreign)
    try:
        for address in (server.url, server.url.replace("127.0.0.1", "localhost")):
            page.goto(address)
            page.get_by_role("button").click()
            expect(page.locator("h1")).to_have_text("That did not come from this dashboard")
            page.goto(address)
            page.evaluate("to => fetch(to, { method: 'POST', mode: 'no-cors', credentials: 'include' })", target)
    finally:
        server.stop()
    assert len([request for request in site.requests if request[0] == "POST"]) == 4
    assert site.row(1).status == "pending"


def test_no_page_can_frame_the_dashboard(site: LiveSite, page: Page, errors: Errors) -> None:  # S23
    errors.expected = True
    foreign = Flask("foreign")
    foreign.add_url_rule("/", view_func=lambda: f"<iframe src='{site.url}'></iframe>")
    server = Server(foreign)
    try:
        page.goto(server.url)
        page.wait_for_timeout(300)
        assert all("shop" not in frame.content() for frame in page.frames[1:])
    finally:
        server.stop()
