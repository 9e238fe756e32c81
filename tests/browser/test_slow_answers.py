"""Who waits for an answer sees that it is under way; a look for news, or a quick answer, shows nothing of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
from flask import request
from live import LiveSite
from playwright.sync_api import Page, expect
from steps import WATCH_SHIFTS, look, until

BUSY = re.compile("true")
BAR = """() => {
    const bar = getComputedStyle(document.querySelector("#live"), "::before");
    return [bar.position, bar.top, bar.height, bar.content];
}"""
WATCH_BUSY = """() => {
    window.busy = [];
    new MutationObserver((list) => window.busy.push(...list.map(({ target }) => target.id)))
        .observe(document.documentElement, { subtree: true, attributeFilter: ["aria-busy"] });
}"""


@pytest.fixture
def slow(site: LiveSite) -> Iterator[threading.Event]:
    """What is searched for is found as soon as this is set."""
    release = threading.Event()
    site.intercept = lambda: None if not request.args.get("q") else release.wait(20) and None
    yield release
    release.set()


def test_a_slow_answer_shows_a_bar_until_it_is_there(site: LiveSite, page: Page, slow: threading.Event) -> None:
    page.goto(site.url)
    page.evaluate(WATCH_SHIFTS)
    page.locator("#q").fill("log 3")
    live = page.locator("#live")
    expect(live).to_have_attribute("aria-busy", BUSY)
    assert page.evaluate(BAR) == ["fixed", "0px", "3px", '""']
    expect(page.locator("#logs tbody tr")).to_have_count(10)  # what was there stays to be read
    assert page.evaluate("window.shift") == 0
    slow.set()
    expect(page.locator("#logs tbody tr")).to_have_count(3)
    expect(live).not_to_have_attribute("aria-busy", BUSY)
    assert page.evaluate(BAR)[3] == "none"


def test_an_answer_that_is_not_wanted_any_more_leaves_no_bar(
    site: LiveSite, page: Page, slow: threading.Event
) -> None:
    page.goto(site.url)
    page.locator("#q").fill("log 3")
    expect(page.locator("#live")).to_have_attribute("aria-busy", BUSY)
    page.locator("#q").fill("")
    until(page, "location.search === ''")
    until(page, "window.finished >= window.begun")
    expect(page.locator("#live")).not_to_have_attribute("aria-busy", BUSY)
    expect(page.locator("#logs tbody tr")).to_have_count(10)


def test_a_quick_answer_shows_none(site: LiveSite, page: Page) -> None:
    page.goto(site.url)
    page.clock.install()
    page.evaluate(WATCH_BUSY)
    page.locator("#older").click()
    until(page, "window.finished > 0 && window.finished >= window.begun")
    page.clock.run_for(1000)
    assert page.evaluate("window.busy") == []


def test_a_slow_look_for_news_shows_none(site: LiveSite, page: Page) -> None:
    page.goto(site.url)
    page.clock.install()
    page.evaluate(WATCH_BUSY)
    arrived, release = threading.Event(), threading.Event()

    def dawdle() -> None:
        arrived.set()
        release.wait(20)

    site.intercept = dawdle
    site.add_logs(1, ["news"])
    page.evaluate("htmx.trigger(document.body, 'bgjobs:tick')")
    assert arrived.wait(20)
    page.clock.run_for(1000)
    assert page.evaluate("window.busy") == []
    site.intercept = None
    release.set()
    until(page, "window.finished >= window.begun")
    look(page)
    expect(page.locator("#logs tbody tr").first).to_contain_text("news")
    assert page.evaluate("window.busy") == []
