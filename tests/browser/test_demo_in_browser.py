"""The demo application with real processes: what somebody sees who tries bgjobs for the first time."""

from __future__ import annotations

from collections.abc import Callable

from demo import demo
from playwright.sync_api import BrowserContext, Page, expect
from steps import is_focused, rows, until


def test_dispatch_watch_and_cancel(page: Page) -> None:
    with demo() as home:
        page.goto(home)
        page.get_by_role("button", name="Run: Take a while").click()
        page.get_by_role("link", name="Watch it").click()
        expect(page.locator("#output-1")).to_contain_text("step 1 of 10", timeout=20_000)
        expect(page.locator("#output-1")).to_contain_text("step 2 of 10", timeout=20_000)
        until(page, "document.querySelector('progress').value >= 10")
        page.get_by_role("button", name="Cancel", exact=True).click()
        page.get_by_role("button", name="Cancel the job").click()
        expect(page.locator(".job-state")).to_have_text("Cancelled", timeout=20_000)
        expect(page.locator(".story")).to_contain_text("Background job asked to stop")
        expect(page.locator(".health")).to_contain_text("Supervisor running")

        page.goto(f"{home}/dashboard")
        expect(page.locator("#logs tbody tr").first).to_be_visible()
        page.close()  # before its server is gone


def test_a_reader_is_not_disturbed_while_jobs_run(page: Page, open_context: Callable[..., BrowserContext]) -> None:
    """The ticks of the page itself, the logs of real jobs; nothing here is made to look as if."""
    with demo() as home:
        page.set_viewport_size({"width": 1280, "height": 1800})
        for title in ("Succeed", "Fail for good", "Fail, then succeed"):
            page.goto(home)
            page.get_by_role("button", name=f"Run: {title}").click()
            page.get_by_role("link", name="Watch it").wait_for()
        page.goto(f"{home}/dashboard?per_page=50")
        expect(page.locator("#logs tbody")).to_contain_text("hung up", timeout=20_000)

        # Typed text and focus, an opened row and the row itself: while the attempts come in.
        page.locator("#logs tr", has_text="hung up").last.locator("summary").click()
        opened = page.locator("#logs details[open]")
        opened.evaluate("it => { window.opened = it; }")
        page.mouse.move(5, 5)
        page.locator("#q").focus()
        before = rows(page)
        page.keyboard.type("r")
        page.keyboard.press("Backspace")
        until(page, "most => document.querySelectorAll('#logs tbody tr').length > most", len(before), seconds=20)
        assert page.evaluate("window.opened.isConnected && window.opened.open")
        assert is_focused(page, "#q")
        assert page.input_value("#q") == ""
        assert page.url.endswith("?per_page=50")

        # The place: who has scrolled down gets a note instead of new rows.
        expect(page.locator("#logs tbody tr").first).to_contain_text("completed processing", timeout=20_000)
        page.set_viewport_size({"width": 1280, "height": 420})
        page.evaluate("document.querySelector('#logs tbody tr:nth-child(2)').scrollIntoView()")
        place, shown = page.evaluate("scrollY"), rows(page)
        other = open_context().new_page()
        other.goto(home)
        other.get_by_role("button", name="Run: Succeed").click()
        other.get_by_role("link", name="Watch it").wait_for()
        expect(page.locator("#arrived")).to_contain_text("new log", timeout=10_000)
        assert rows(page) == shown
        assert page.evaluate("scrollY") == place

        # Retry with a click, then without JavaScript; the way back leads to the same list.
        page.locator("#logs tr", has_text="no such user").first.get_by_role("link").click()
        expect(page.locator(".job-state")).to_have_text("Failed")
        page.get_by_role("button", name="Retry").click()
        expect(page.locator("#attempt-3")).to_be_visible(timeout=20_000)
        expect(page.locator(".story")).to_contain_text("Retried on the dashboard")
        expect(page.locator(".job-state")).to_have_text("Failed", timeout=20_000)
        page.go_back()
        assert page.url.endswith("/dashboard?per_page=50")
        expect(page.locator("#logs tbody tr").first).to_be_visible()

        plain = open_context(java_script_enabled=False).new_page()
        plain.goto(f"{home}/dashboard/jobs/2")
        plain.get_by_role("button", name="Retry").click()
        expect(plain.locator(".story")).to_contain_text("Background job put back to pending by hand")
        for tab in (page, other, plain):
            tab.close()  # before their server is gone


def test_all_that_match_are_dealt_with_by_a_job_of_its_own(page: Page) -> None:
    """Dispatched by the list, run in a real process, watched on its page."""
    with demo() as home:
        for _ in range(3):
            page.goto(home)
            page.get_by_role("button", name="Run: Succeed").click()
            page.get_by_role("link", name="Watch it").wait_for()
        page.goto(f"{home}/dashboard/jobs?state=completed")
        expect(page.locator("#jobs tbody tr")).to_have_count(3, timeout=20_000)
        page.locator("#tick-all").check()
        page.locator("#bulk [name=all]").evaluate("it => { it.checked = true; }")
        page.locator("#bulk").get_by_role("button", name="Delete").click()
        page.locator("dialog [data-confirm-words]").click()
        expect(page.locator("h1")).to_contain_text("BulkAction::run")
        expect(page.locator(".job-state")).to_have_text("Completed", timeout=20_000)
        expect(page.locator(".progress")).to_contain_text("3 deleted")
        expect(page.locator("main")).to_contain_text('"done": 3')
        page.goto(f"{home}/dashboard/jobs")
        expect(page.locator("#jobs tbody tr")).to_have_count(1)
        page.close()  # before its server is gone
