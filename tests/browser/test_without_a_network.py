"""A computer without any network still reaches itself: the dashboard on it goes on updating."""

from __future__ import annotations

from live import LiveSite
from playwright.sync_api import Page, expect

OFFLINE = "Object.defineProperty(Navigator.prototype, 'onLine', { get: () => false });"


def test_the_page_is_live_on_a_computer_that_is_offline(site: LiveSite, page: Page) -> None:
    page.add_init_script(OFFLINE)
    page.goto(site.url)
    site.add_logs(1, ["news from here"])
    expect(page.locator("#logs tbody tr").first).to_contain_text("news from here")
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(page.locator("[data-live-words]")).to_have_text("Live")
    expect(page.locator("#connection")).to_be_empty()
