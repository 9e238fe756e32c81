"""What a reader chooses for a browser: how often the page looks for news, and the clock that its times follow."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from live import LiveSite
from playwright.sync_api import BrowserContext, Page, expect
from steps import look, tick_of_the_clock


@pytest.mark.parametrize(
    ("choice", "seconds", "least", "most"), [("5 s", 40, 7, 9), ("15 s", 60, 3, 5), ("60 s", 180, 2, 4)]
)
def test_how_often_to_look(site: LiveSite, page: Page, choice: str, seconds: float, least: int, most: int) -> None:
    page.clock.install()
    page.goto(site.logs)
    for _ in range(2):
        page.get_by_label("Updates").select_option(choice)
        tick_of_the_clock(page, 1)
        before = len(site.requests)
        tick_of_the_clock(page, seconds, step=seconds / 24)
        assert least <= len(site.requests) - before <= most
        page.reload()
        assert page.get_by_label("Updates").input_value() == choice.split()[0]


@pytest.mark.parametrize(("choice", "least", "most"), [("2 s", 5, 6), ("15 s", 3, 4), ("Paused", 0, 0)])
def test_what_stands_beside_is_looked_at_every_ten_seconds_at_most(
    site: LiveSite, page: Page, choice: str, least: int, most: int
) -> None:
    page.clock.install()
    page.goto(site.logs)
    page.get_by_label("Updates").select_option(choice)
    page.evaluate(
        "window.slow = 0; document.body.addEventListener('bgjobs:slow-tick', () => { window.slow += 1; })"
    )
    tick_of_the_clock(page, 60)
    assert least <= page.evaluate("window.slow") <= most


def test_when_it_was_updated_is_under_the_pointer_and_the_focus(site: LiveSite, page: Page) -> None:
    page.goto(site.logs)
    look(page)
    switch = page.locator("[data-live-switch]")
    switch.hover()
    assert re.fullmatch(r"Updated \d\d:\d\d:\d\d \S+", switch.get_attribute("title") or "")


@pytest.mark.parametrize("kept", ["17", "", "-1", "soon", "<b>"])
def test_a_kept_choice_that_makes_no_sense_is_none(site: LiveSite, page: Page, kept: str) -> None:
    page.add_init_script(f"localStorage.setItem('bgjobs-interval', {kept!r})")
    page.add_init_script(f"localStorage.setItem('bgjobs-keys', {kept!r})")
    page.goto(site.logs)
    expect(page.locator("[data-live-words]")).to_have_text("Live")
    assert page.get_by_label("Updates").input_value() == "2"
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()


def test_a_browser_that_keeps_nothing(site: LiveSite, page: Page) -> None:
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } })"
    )
    page.goto(site.logs)
    page.get_by_label("Updates").select_option("Paused")
    expect(page.locator("[data-live-words]")).to_have_text("Paused")
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def titles(page: Page) -> list[str | None]:
    return [it.get_attribute("title") for it in page.locator(".cell-created time").all()]


def test_exact_times_follow_the_zone_and_its_summer_time(
    site: LiveSite, open_context: Callable[..., BrowserContext]
) -> None:
    """One hour lies between them, and in Rome both are half past two."""
    newer, older = site.add_logs(1, ["after", "before"])
    for number, hour in ((newer, 0), (older, 1)):
        site.execute(
            "UPDATE job_logs SET created_at = :at WHERE id = :id", id=number, at=f"2026-10-25 0{hour}:30:00.000000"
        )
    site.change(1, created_at=datetime(2026, 7, 1, 22, 5, tzinfo=UTC), status="cancelled")
    page = open_context(timezone_id="Europe/Rome").new_page()
    page.goto(site.logs)
    assert titles(page)[:2] == ["25 Oct 2026, 02:30:00 CET", "25 Oct 2026, 02:30:00 CEST"]

    page.goto(f"{site.url}/jobs/1")
    created = page.locator(".facts .time-exact").first
    expect(created).to_have_text("2 Jul 2026, 00:05:00 CEST")
    page.keyboard.press("?")
    page.get_by_label("Times", exact=True).select_option("UTC")
    expect(created).to_have_text("1 Jul 2026, 22:05:00 UTC")
    page.keyboard.press("Escape")
    site.change(1, updated_at=datetime.now(UTC), error_message="changed")
    look(page)
    expect(page.locator("main")).to_contain_text("changed")
    expect(created).to_have_text("1 Jul 2026, 22:05:00 UTC")

    page.goto(site.logs)
    assert titles(page)[:2] == ["25 Oct 2026, 01:30:00 UTC", "25 Oct 2026, 00:30:00 UTC"]
    page.keyboard.press("j")
    page.keyboard.press("e")
    expect(page.locator("#logs details[open]").first).to_contain_text("25 Oct 2026, 01:30:00 UTC")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keyboard and times").click()
    page.get_by_label("Times", exact=True).select_option("Local")
    assert titles(page)[0] == "25 Oct 2026, 02:30:00 CET"
    page.keyboard.press("Escape")
    site.add_logs(1, ["news"])
    page.mouse.move(5, 5)
    page.evaluate("document.activeElement.blur()")
    look(page)
    assert all(title and title.endswith(("CET", "CEST")) for title in titles(page))


def test_a_time_from_the_beginning_or_the_end_of_all_times(site: LiveSite, page: Page) -> None:
    """Somebody edited the rows; the others are shown all the same, and kept current."""
    numbers = site.add_logs(1, ["edited"] * 2)
    for number, at in zip(numbers, ("0001-01-01 00:00:00.000000", "9999-12-31 23:59:59.000000"), strict=True):
        site.execute("UPDATE job_logs SET created_at = :at WHERE id = :id", id=number, at=at)
    page.goto(site.logs)
    expect(page.locator(".cell-created time").nth(4)).to_have_text("1 hour ago")
    assert titles(page)[4]
    expect(page.locator("[data-live-words]")).to_have_text("Live")


def test_news_are_announced_at_most_every_ten_seconds(site: LiveSite, page: Page) -> None:  # 18
    page.clock.install()
    page.goto(site.logs)
    page.mouse.move(5, 5)
    page.evaluate(
        """() => {
            window.said = [];
            const announcer = document.querySelector("#announcer");
            new MutationObserver(() => window.said.push(announcer.textContent))
                .observe(announcer, { childList: true, characterData: true, subtree: true });
        }"""
    )
    for _ in range(4):
        site.add_logs(1, ["news"])
        tick_of_the_clock(page, 2)
    assert page.evaluate("window.said") == ["1 new log."]
    tick_of_the_clock(page, 5)
    site.add_logs(1, ["bad news"], "failure")
    tick_of_the_clock(page, 4)
    assert page.evaluate("window.said") == ["1 new log.", "1 new log, 1 failure."]


@pytest.mark.parametrize(("motion", "animation"), [("no-preference", "arrived"), ("reduce", "none")])
def test_nothing_moves_for_who_wants_no_motion(
    site: LiveSite, open_context: Callable[..., BrowserContext], motion: str, animation: str
) -> None:
    page = open_context(reduced_motion=motion).new_page()
    page.goto(site.logs)
    page.mouse.move(5, 5)
    site.add_logs(1, ["news"])
    look(page)
    arrived = "getComputedStyle(document.querySelector('#logs .arrived td')).animationName"
    assert page.evaluate(arrived) == animation
