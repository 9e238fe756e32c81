"""The demo application with real processes: what somebody sees who tries bgjobs for the first time."""

from __future__ import annotations

from demo import demo
from playwright.sync_api import Page, expect
from steps import until


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
