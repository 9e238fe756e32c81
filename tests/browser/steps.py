"""What the browser tests do again and again."""

from __future__ import annotations

import time
from typing import Any

from playwright.sync_api import Page

PATIENCE = 20.0
"""Seconds to wait for what must come. Long, because a busy computer can stop a browser for that long."""


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


def until_first_row(page: Page, number: int) -> None:
    until(page, "id => document.querySelector('#logs tbody tr')?.id === id", f"log-{number}")


def is_focused(page: Page, selector: str) -> bool:
    return bool(page.evaluate("selector => document.activeElement.matches(selector)", selector))
