"""The pages of the machine in a browser: their buttons ask first, and the tables stay current by themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from live import Errors, LiveSite
from playwright.sync_api import BrowserContext, Page, expect
from steps import is_focused, look

from bgjobs.processes.identity import own_identity


def run(site: LiveSite) -> None:
    """Let job 2 look as if it ran in this very process."""
    here = {"status": "running", "backend": "local", "attempt": 1, "started_at": datetime.now(UTC)}
    site.change(2, **here, **own_identity().columns())


def test_a_queue_is_paused_after_a_question_and_resumed(site: LiveSite, page: Page) -> None:
    page.goto(f"{site.url}/queues")
    pause = page.get_by_role("button", name="Pause default")
    pause.click()
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("Pause the queue default? Its 2 pending jobs will wait; what runs goes on.")
    assert is_focused(page, "dialog button[value='']")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(pause).to_be_visible()
    pause.click()
    page.get_by_role("button", name="Pause the queue").click()
    resume = page.get_by_role("button", name="Resume default")
    expect(resume).to_be_visible()
    assert not is_focused(page, "body")
    resume.click()
    expect(pause).to_be_visible()
    assert page.url.endswith("/dashboard/queues")


def test_a_running_job_is_asked_to_stop_from_the_table(site: LiveSite, page: Page) -> None:
    page.goto(f"{site.url}/processes")
    expect(page.locator("#live")).to_contain_text("No job is running")
    run(site)
    look(page)
    row = page.locator("#job-2")
    expect(row).to_contain_text("iB")
    page.get_by_role("button", name="Cancel job 2").click()
    expect(page.locator("dialog[open]")).to_contain_text("Ask job #2 to stop?")
    page.get_by_role("button", name="Cancel the job").click()
    expect(row).to_contain_text("was asked to stop")
    assert site.row(2).cancel_requested_at is not None


def test_too_late_is_said_beside_the_table(site: LiveSite, page: Page, errors: Errors) -> None:
    errors.expected = True  # the console notes every 409
    run(site)
    page.goto(f"{site.url}/processes")
    site.change(2, status="completed")
    page.get_by_role("button", name="Cancel job 2").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#answer")).to_contain_text("Job #2 is completed, so it cannot be cancelled")


def test_without_javascript(site: LiveSite, open_context: Callable[..., BrowserContext]) -> None:
    run(site)
    page = open_context(java_script_enabled=False).new_page()
    page.goto(f"{site.url}/queues")
    page.get_by_role("button", name="Pause default").click()
    expect(page.get_by_role("button", name="Resume default")).to_be_visible()
    page.get_by_role("link", name="Processes").click()
    page.get_by_role("button", name="Cancel job 2").click()
    expect(page.locator("#job-2")).to_contain_text("was asked to stop")
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("textbox", name="Diagnostics")).to_be_visible()
