"""What the browser tests do again and again."""

from __future__ import annotations

import time
from typing import Any

from playwright.sync_api import Page

PATIENCE = 20.0
"""Seconds to wait for what must come. Long, because a busy computer can stop a browser for that long."""


# The poll is marked while it is under way, and times follow the clock; nothing else may be touched.
WATCH_CHANGES = """() => {
    window.changes = [];
    const note = ({ target }) => {
        const element = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
        // What a running job uses is another thing at each look.
        const may = "[data-poll], [data-side-poll], time, #usage";
        if (!element?.closest(may)) window.changes.push(element?.outerHTML);
    };
    const all = { subtree: true, childList: true, attributes: true, characterData: true };
    new MutationObserver((list) => list.forEach(note)).observe(document.body, all);
}"""

WATCH_SHIFTS = """() => {
    window.shift = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: false });
}"""


def until(page: Page, expression: str, argument: Any = None, *, seconds: float = PATIENCE) -> None:
    """Wait until ``expression`` is true in the page. Playwright's own function would need ``unsafe-eval``."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression, argument):
        assert time.monotonic() < deadline, f"not within {seconds} s: {expression}"
        page.wait_for_timeout(10)


def look(page: Page) -> None:
    """One look for news, now, and what comes of it."""
    done = page.evaluate("window.finished")
    page.evaluate("htmx.trigger(document.body, 'bgjobs:tick')")
    until(page, "done => window.finished > done", done)


def rows(page: Page) -> list[int]:
    """The ids of the logs that are shown."""
    found = page.evaluate("[...document.querySelectorAll('#logs tbody tr')].map(row => Number(row.id.slice(4)))")
    return list(found)


def tick_of_the_clock(page: Page, seconds: float, *, step: float = 0.5) -> None:
    """Let that much time pass in a page whose clock is ours, and bring what each step asks for to its end."""
    for _ in range(int(seconds / step)):
        page.clock.run_for(int(step * 1000))
        page.wait_for_timeout(5)
        until(page, "window.finished >= window.begun")


def until_first_row(page: Page, number: int) -> None:
    until(page, "id => document.querySelector('#logs tbody tr')?.id === id", f"log-{number}")


def is_focused(page: Page, selector: str) -> bool:
    return bool(page.evaluate("selector => document.activeElement.matches(selector)", selector))
