"""The pages with a screen reader, on a small screen, without JavaScript, and with text that attacks them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from live import Errors, LiveSite
from playwright.sync_api import BrowserContext, Page, expect
from steps import is_focused, look, rows

from bgjobs.dashboard.progress.ticket import Ticket, token_of
from bgjobs.pausing import pause_queue
from bgjobs.processes.identity import own_identity

SIZES = [(1280, 900), (768, 900), (375, 700), (320, 600)]
LONG = "an_extremely_long_word_without_any_place_to_break_" * 8


@pytest.fixture
def full_site(site: LiveSite) -> LiveSite:
    """The states of all boxes: a notice, long texts, a running job with progress and output, a failed one."""
    run = {"status": "running", "started_at": datetime.now(UTC), "progress_done": 3, "progress_total": 9}
    site.change(2, **run, progress_message=LONG, error_message=LONG, backend="local", **own_identity().columns())
    for queue in ("mail", LONG[:100].replace("_", ".")):
        pause_queue(site.state.store, queue, by=LONG[:60])
    site.add_attempt(2, 1, outcome="lost", exit_status=-9, peak_rss=10**8, cpu_seconds=0.5, pid=123)
    site.add_attempt(
        2, 2, ended_at=None, outcome=None, exception_type=LONG, exception_message="m", traceback=f"{LONG}\n" * 40
    )
    Path(site.state.folder.output_file(2, 2)).write_text(f"{LONG}\n" * 60)
    site.add_logs(2, [LONG * 3], "failure")
    return site


def views(site: LiveSite) -> Iterator[tuple[str, str]]:
    yield "logs", site.url
    yield "search", f"{site.url}?q=an_ext"
    yield "second page", f"{site.url}?page=2"
    yield "no match", f"{site.url}?q=zebra"
    yield "job", f"{site.url}/jobs/2"
    yield "processes", f"{site.url}/processes"
    yield "queues", f"{site.url}/queues"
    yield "health", f"{site.url}/health"
    yield "progress", f"{site.server.url}{progress_of(site)}"
    yield "gone", f"{site.url}/jobs/999"


def progress_of(site: LiveSite) -> str:
    site.app.config["SECRET_KEY"] = "a key"
    return f"/dashboard/progress/{token_of(site.state, Ticket(2, with_result=True))}"


def open_details(page: Page) -> None:
    page.evaluate(
        "[...document.querySelectorAll('main details')].slice(0, 4).forEach((it) => { it.open = true; })"
    )


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{it['id']}: {node['html'][:120]}" for it in found for node in it["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(
    full_site: LiveSite, open_context: Callable[..., BrowserContext], errors: Errors, theme: Any
) -> None:  # 18
    errors.expected = True  # the page of a job that is not there is a 404
    page = open_context(color_scheme=theme).new_page()
    for width, height in (SIZES[0], SIZES[2]):
        page.set_viewport_size({"width": width, "height": height})
        for name, address in views(full_site):
            if width == SIZES[0][0] or name in ("logs", "job", "processes", "queues"):
                page.goto(address)
                open_details(page)
                assert violations(page) == [], (name, width)
        page.goto(f"{full_site.url}/jobs/2")
        page.get_by_role("button", name="Cancel", exact=True).click()
        expect(page.locator("dialog")).to_be_visible()
        assert violations(page) == [], ("dialog", width)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_when_the_server_is_gone(
    site: LiveSite, open_context: Callable[..., BrowserContext], errors: Errors, theme: Any
) -> None:  # 18
    errors.expected = True
    page = open_context(color_scheme=theme).new_page()
    page.goto(site.url)
    page.locator("#logs tbody tr").nth(1).hover()
    site.add_logs(1, ["news"])
    look(page)
    expect(page.locator("#arrived")).to_be_visible()
    site.server.stop()
    for _ in range(3):
        look(page)
    expect(page.locator("#connection")).to_contain_text("Not updating since")
    assert violations(page) == []


def test_small_screens(
    full_site: LiveSite, open_context: Callable[..., BrowserContext], errors: Errors
) -> None:  # 19
    errors.expected = True
    page = open_context().new_page()
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for name, address in views(full_site):
            page.goto(address)
            open_details(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            small = page.evaluate(
                """() => [...document.querySelectorAll("a, button, input, select, summary")]
                    .map((it) => [it, (it.closest("label") ?? it).getBoundingClientRect()])
                    .filter(([it, box]) => box.width && !it.closest("dialog, .skip, p:not(.back)")
                        && (box.height < 24 || box.width < 24))
                    .map(([it]) => it.outerHTML.slice(0, 100))"""
            )
            assert small == [], (name, width)


def test_the_bar_at_the_top_has_room_for_every_state(site: LiveSite, page: Page, errors: Errors) -> None:  # 19
    errors.expected = True
    page.goto(site.url)
    site.server.stop()
    look(page)
    for state in ("Reconnecting…", "Paused"):
        expect(page.locator("[data-live-words]")).to_have_text(state)
        for width in (320, 375, 768):
            page.set_viewport_size({"width": width, "height": 700})
            words_end = page.evaluate(
                """() => {
                    const range = document.createRange();
                    range.selectNodeContents(document.querySelector(".brand"));
                    return range.getBoundingClientRect().right;
                }"""
            )
            tools = page.locator(".top-tools").bounding_box()
            assert tools is not None
            assert words_end <= tools["x"], (state, width)
        page.locator("[data-live-switch]").click()


def test_cards_on_a_phone_are_still_a_table(
    site: LiveSite, open_context: Callable[..., BrowserContext]
) -> None:  # 19
    page = open_context(viewport={"width": 375, "height": 700}).new_page()
    page.goto(site.url)
    assert page.get_by_role("row").count() == 11
    assert page.get_by_role("cell").count() == 50
    assert page.get_by_role("columnheader").count() == 5
    places = page.evaluate(
        """["type", "message", "job"].map(
            (name) => document.querySelector(`#logs tbody tr .cell-${name}`).getBoundingClientRect().y)"""
    )
    assert places == sorted(set(places))


def test_by_keyboard(site: LiveSite, page: Page) -> None:  # 17
    page.goto(site.url)
    page.keyboard.press("Tab")
    assert is_focused(page, ".skip")
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert is_focused(page, "main")
    page.keyboard.press("Tab")
    assert is_focused(page, "#q")
    for expected in ("input[type=radio]", "select", "#logs a", "#logs summary"):
        page.keyboard.press("Tab")
        assert is_focused(page, expected)
        outlined = page.evaluate(
            """() => {
                const it = document.activeElement;
                const shown = it.matches("input[type=radio]") ? it.nextElementSibling : it;
                return getComputedStyle(shown).outlineStyle;
            }"""
        )
        assert outlined == "solid", expected
    page.keyboard.press("Enter")
    expect(page.locator("#logs details[open]")).to_have_count(1)


def test_a_theme_is_chosen_and_kept_without_a_flash(
    site: LiveSite, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(color_scheme="light").new_page()
    page.goto(site.url)
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(background)
    assert dark != light
    page.add_init_script(
        "new PerformanceObserver(() => { window.first ??= getComputedStyle(document.body).backgroundColor; })"
        ".observe({ type: 'paint', buffered: true });"
    )
    page.reload()
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("window.first") in (dark, None)
    assert page.evaluate(background) == dark
    page.get_by_role("button", name="System").click()
    assert page.evaluate(background) == light


# -- without JavaScript ------------------------------------------------------------------------------


def test_everything_works_without_javascript(
    site: LiveSite, open_context: Callable[..., BrowserContext]
) -> None:  # 20
    page = open_context(java_script_enabled=False).new_page()
    page.goto(site.url)
    expect(page.locator("[data-live-switch]")).to_be_hidden()
    page.locator("#q").fill("log 3")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#logs tbody tr")).to_have_count(3)
    page.get_by_role("radio", name="Failure").check()
    page.locator("#q").press("Enter")
    expect(page.locator("#logs tbody tr")).to_have_count(1)
    assert "type=failure" in page.url
    page.goto(site.url)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("#newer")).to_be_visible()
    page.select_option("select[name=per_page]", "25")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#logs tbody tr")).to_have_count(25)
    page.locator("#logs summary").first.click()
    expect(page.locator("#logs details[open]")).to_have_count(1)

    page.goto(f"{site.url}/jobs/1")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator(".job-state")).to_have_text("Cancelled")
    assert page.url.endswith("/dashboard/jobs/1")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".job-state")).to_have_text("Pending")


# -- text that attacks -------------------------------------------------------------------------------

ATTACKS = [
    "<script>window.attacked=1</script>",
    '"><img src=x onerror=window.attacked=1>',
    "' onmouseover=window.attacked=1 x='",
    "<div hx-get=/attacked hx-trigger=load>",
    "<b hx-on:htmx:load=window.attacked=1>",
    "<div data-hx-get=/attacked data-hx-trigger=load>",
    "</title><script>window.attacked=1</script>",
    "<hx-partial hx-target=body>attacked</hx-partial>",
    "\x1b[31m\x1b]52;c;YQ==\x07\u202e",
]


def test_attacks_are_text(site: LiveSite, page: Page) -> None:  # 20
    """Loaded with the page, and swapped in by a look; the policy reports nothing, so nothing was even tried."""
    text = " ".join(ATTACKS)
    page.goto(site.url)
    site.change(1, class_name=text, method_name=text, parameters={text: text}, error_message=text, status="failed")
    site.add_logs(1, ATTACKS, "failure")
    site.add_attempt(1, exception_type=text, exception_message=text, traceback=text)
    Path(site.state.folder.output_file(1, 1)).write_text(text)
    look(page)
    assert len(rows(page)) == 10
    for address in (site.url, f"{site.url}/jobs/1", f"{site.url}?q=attacked"):
        page.goto(address)
        look(page)
        page.mouse.move(300, 300)
        assert page.evaluate("window.attacked") is None
        assert page.locator("main script, main img, main b[hx-on\\:htmx\\:load]").count() == 0
    assert not [path for _, path, _ in site.requests if path.startswith("/attacked")]
