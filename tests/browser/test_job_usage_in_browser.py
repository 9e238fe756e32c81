"""What a real running job uses, in a browser: its graph, its processes, and nothing that jumps."""

from __future__ import annotations

import re

from demo import demo
from playwright.sync_api import Page, expect
from steps import look, until

# A number at the right margin that gets one digit more begins further left; that moves nothing else.
OBSERVED = """
window.moved = [];
new PerformanceObserver((list) => {
    for (const { previousRect, currentRect, node } of list.getEntries().flatMap((entry) => entry.sources))
        if (previousRect.top !== currentRect.top) window.moved.push(node?.outerHTML ?? node?.data);
}).observe({ type: "layout-shift", buffered: false });
"""


def test_a_real_job(page: Page) -> None:
    with demo() as home:
        page.goto(home)
        page.click("form[action='/dispatch/long'] button")
        page.get_by_role("link", name="Watch it").click()
        usage, tree = page.locator("#usage"), page.locator(".tree tbody tr")
        expect(page.locator(".job-state")).to_contain_text("Running")
        expect(usage).to_contain_text(re.compile(r"Attempt 1\. Newest sample \d\d:\d\d:\d\d UTC\."))
        expect(usage).to_contain_text(re.compile(r"now \d+ % · peak \d+ %"))
        expect(usage).to_contain_text(re.compile(r"now [\d.]+ MiB · peak [\d.]+ MiB"))
        expect(tree).to_have_count(1)
        expect(tree).to_contain_text("ExampleJob::slow")
        expect(tree.locator("td").first).to_have_text(re.compile(r"\d+ %"))
        expect(page.locator("#output-1")).to_contain_text("step 2 of 300")

        # Its own ticks now: points and lines come, and nothing moves by it. What is opened stays open.
        page.locator("#cpu-table summary").click()
        page.locator("#way-table summary").click()
        rows = page.locator("#cpu-table tbody tr")
        before = rows.count()
        page.evaluate(OBSERVED)
        until(page, "least => document.querySelectorAll('#cpu-table tbody tr').length >= least", before + 4)
        expect(page.locator("#output-1")).to_contain_text("step 8 of 300")
        assert page.evaluate("window.moved") == []
        assert page.locator("#cpu-table").get_attribute("open") is not None
        assert page.locator("#way-table").get_attribute("open") is not None

        page.get_by_role("button", name="Cancel", exact=True).click()
        page.get_by_role("button", name="Cancel the job").click()
        expect(page.locator(".job-state")).to_have_text("Cancelled")
        expect(usage).to_contain_text(re.compile(r"Last sample \d\d:\d\d:\d\d UTC\."))
        expect(page.locator(".tree")).to_have_count(0)
        expect(page.locator("#usage-poll")).to_have_count(0)
        expect(page.locator(".way-steps")).to_contain_text("Attempt 1 cancelled")
        expect(page.locator("#printed-1")).to_have_attribute("data-done", "")
        look(page)
        page.close()  # before its server is gone
