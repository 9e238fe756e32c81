"""The pages with a screen reader, on a small screen, without JavaScript, and with text that attacks them."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from flask import abort
from live import Errors, LiveSite
from playwright.sync_api import BrowserContext, Page, Response, expect
from steps import WATCH_CHANGES, WATCH_SHIFTS, is_focused, look, rows
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from bgjobs.dashboard.progress.ticket import Ticket, token_of
from bgjobs.pausing import pause_queue
from bgjobs.processes.identity import own_identity

OTHER_WHEN_SMALL = {"overview", "jobs", "job", "job after others", "processes", "queues"}
SIZES = [(1280, 900), (768, 900), (375, 700), (320, 600)]
WIDE_AND_SMALL = [SIZES[0], SIZES[2]]
# The same script does the same there as on the page that they are a choice of.
CHOICES = {
    "search",
    "second page",
    "no match",
    "jobs that are filtered",
    "no such jobs",
    "job after others",
    "gone",
}
LONG = "an_extremely_long_word_without_any_place_to_break_" * 8

# What the focus must reach (of a group of radio buttons, the one that is chosen), and what of it was missed.
MARKED = """
    const groups = new Set();
    const radio = (it) => it.type !== "radio" || it.checked;
    const can = (it) => it.tabIndex >= 0 && !it.disabled && it.type !== "hidden" && radio(it)
        && it.checkVisibility({ visibilityProperty: true });
    const takers = "a[href], button, input, select, textarea, summary, [tabindex]";
    const wanted = new Set([...document.querySelectorAll(takers)].filter(can));
    const total = wanted.size;
    window.marked = () => total;
    window.reach = () => {
        const it = document.activeElement;
        wanted.delete(it);
        const shown = it.type === "radio" ? it.nextElementSibling : it;
        return it === document.body || getComputedStyle(shown).outlineStyle !== "none";
    };
    window.missed = () => [...wanted].map((it) => it.outerHTML.slice(0, 120));
"""


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
    site.change(2, attempt=2, limits={"memory": 10**8, "nice": 5}, retry_of=1, paused_at=datetime.now(UTC))
    frames = (
        f'  File "/srv/{LONG}.py", line 1, in run\n  File "/usr/lib/python3.11/json/{LONG}.py", line 2, in x\n'
    )
    site.execute("UPDATE job_attempts SET traceback = :text WHERE number = 1", text=f"{frames}E: {LONG}")
    own = own_identity()
    site.change(2, backend="local", **own.columns())
    for second in range(40):
        site.execute(
            "INSERT INTO job_samples (background_job_id, attempt, at, cpu, rss, threads, children) "
            "VALUES (2, 2, :at, :cpu, :rss, 1, 0)",
            at=f"2026-11-24 12:00:{second:02}.000000",
            cpu=second * 3,
            rss=10**6 * (second + 20),
        )
    for _ in range(25):  # the newest is a job with runs before it
        site.dispatch("slow")
    site.add_logs(2, [LONG * 3], "failure")
    return site


def views(site: LiveSite) -> Iterator[tuple[str, str]]:
    yield "overview", site.url
    yield "logs", f"{site.url}/logs"
    yield "search", f"{site.url}?q=an_ext"
    yield "second page", f"{site.url}?page=2"
    yield "no match", f"{site.url}?q=zebra"
    yield "jobs", f"{site.url}/jobs"
    yield "jobs that are filtered", f"{site.url}/jobs?state=pending&q=a&foo=1&result=retry-1-1-0"
    yield "no such jobs", f"{site.url}/jobs?class={LONG}&q={LONG[:150]}"
    yield "job", f"{site.url}/jobs/2"
    yield "job after others", f"{site.url}/jobs/27"
    yield "processes", f"{site.url}/processes"
    yield "queues", f"{site.url}/queues"
    yield "health", f"{site.url}/health"
    yield "progress", f"{site.server.url}{progress_of(site)}"
    yield "gone", f"{site.url}/jobs/999"


def live_views(site: LiveSite, page: Page, *, without: Container[str] = ()) -> Iterator[str]:
    """Opens one after the other those that look for news."""
    for name, address in views(site):
        if name not in without:
            page.goto(address)
            if page.locator("[data-poll]").count():
                yield name


def progress_of(site: LiveSite) -> str:
    site.app.config["SECRET_KEY"] = "a key"
    return f"/dashboard/progress/{token_of(site.state, Ticket(2, with_result=True))}"


def open_details(page: Page) -> None:
    page.evaluate(
        "[...document.querySelectorAll('main details')].slice(0, 4).forEach((it) => { it.open = true; })"
    )


# What a theme changes is the colours; all else that axe looks for is the same in both.
RULES = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}


def violations(page: Page, theme: str = "light") -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    options = {"resultTypes": ["violations"], **RULES[theme]}
    found = page.evaluate("options => axe.run(document, options).then((it) => it.violations)", options)
    return [f"{it['id']}: {node['html'][:120]}" for it in found for node in it["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(
    full_site: LiveSite, open_context: Callable[..., BrowserContext], errors: Errors, theme: Any
) -> None:  # 18
    errors.expected = True  # the page of a job that is not there is a 404
    page = open_context(color_scheme=theme).new_page()

    def look_at_it(name: str, sizes: list[tuple[int, int]]) -> None:
        for width, height in sizes:
            page.set_viewport_size({"width": width, "height": height})
            assert violations(page, theme) == [], (name, width)

    for name, address in views(full_site):
        page.goto(address)
        open_details(page)
        look_at_it(name, WIDE_AND_SMALL if name in OTHER_WHEN_SMALL else WIDE_AND_SMALL[:1])
    page.goto(f"{full_site.url}/jobs/2")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("dialog[open]")).to_be_visible()
    look_at_it("dialog", WIDE_AND_SMALL)
    page.goto(f"{full_site.url}/jobs")
    page.locator("[name=job]").first.check()
    look_at_it("selection", WIDE_AND_SMALL)


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
    assert violations(page, theme) == []


def test_small_screens(
    full_site: LiveSite, open_context: Callable[..., BrowserContext], errors: Errors
) -> None:  # 19
    errors.expected = True
    page = open_context().new_page()
    for name, address in views(full_site):
        page.goto(address)
        open_details(page)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
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
        page.get_by_label("Updates").select_option("Paused")


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
    page.goto(f"{site.url}/logs")
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


def test_everything_is_reached_by_keyboard(
    full_site: LiveSite, open_context: Callable[..., BrowserContext], errors: Errors
) -> None:  # 17
    """The focus goes through all of a page and out of it again, and it can be seen wherever it is."""
    errors.expected = True
    page = open_context().new_page()
    for name, address in views(full_site):
        page.goto(address)
        open_details(page)
        wanted = page.evaluate(f"() => {{ {MARKED} return window.marked(); }}")
        for _ in range(2 * wanted + 10):  # a field for a date has several stops
            page.keyboard.press("Tab")
            outlined = page.evaluate("window.reach()")
            assert outlined, (name, page.evaluate("document.activeElement.outerHTML.slice(0, 120)"))
            if not page.evaluate("window.missed()"):
                break
        assert page.evaluate("window.missed()") == [], name


def test_every_page_keeps_to_the_policy(
    full_site: LiveSite, open_context: Callable[..., BrowserContext], errors: Errors
) -> None:  # 13
    """With the page, with what a look swaps in, and with each dialog that can be opened."""
    page = open_context().new_page()
    for _ in live_views(full_site, page):
        full_site.add_logs(2, ["news"])
        full_site.change(2, updated_at=datetime.now(UTC))
        look(page)
        for opener in page.locator("[data-help], [hx-confirm] button").all():
            if opener.is_visible():  # some are in a menu
                opener.click()
                page.keyboard.press("Escape")
    errors.found = [text for text in errors.found if "404 (NOT FOUND)" not in text]  # the page that is gone


def test_no_news_means_304_and_no_change_on_every_page(
    full_site: LiveSite, open_context: Callable[..., BrowserContext], errors: Errors
) -> None:  # 8
    errors.expected = True
    page = open_context().new_page()
    statuses: list[int] = []

    def note(answer: Response) -> None:
        if (
            "hx-ptag" in answer.request.headers and "/_/" not in answer.url
        ):  # what stands beside has a clock of its own
            statuses.append(answer.status)

    page.on("response", note)
    for name in live_views(full_site, page):
        page.evaluate(WATCH_CHANGES)
        statuses.clear()
        for _ in range(3):
            look(page)
        assert set(statuses) == {304}, name
        assert page.evaluate("window.changes") == [], name


def test_no_page_asks_while_nobody_sees_it(full_site: LiveSite, page: Page, errors: Errors) -> None:  # 9
    errors.expected = True
    page.clock.install()
    for name in live_views(full_site, page, without=CHOICES):
        page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
        page.clock.run_for(100)
        before = len(full_site.requests)
        page.clock.run_for(20_000)
        assert len(full_site.requests) == before, name


def test_every_page_outlasts_a_server_that_fails(full_site: LiveSite, page: Page, errors: Errors) -> None:  # 10
    errors.expected = True
    for name in live_views(full_site, page, without=CHOICES):
        shown = page.locator("#live").inner_text()
        full_site.intercept = lambda: abort(500)
        for _ in range(3):
            look(page)
        expect(page.locator("#connection")).to_contain_text("Not updating since")
        expect(page.locator("[data-live-words]")).to_have_text("Reconnecting…")
        # Times go on by themselves.
        assert page.locator("#live").inner_text().split("\n")[0] == shown.split("\n")[0], name
        assert "Internal Server Error" not in page.locator("body").inner_text(), name
        full_site.intercept = None
        look(page)
        expect(page.locator("#connection")).to_be_empty()
        expect(page.locator("[data-live-words]")).to_have_text("Live")


def test_every_page_says_that_the_session_has_ended(full_site: LiveSite, page: Page, errors: Errors) -> None:  # 11
    errors.expected = True
    page.clock.install()
    for name in live_views(full_site, page, without=CHOICES):
        shown = page.locator("#live").inner_html()
        full_site.intercept = lambda: abort(401)
        page.clock.run_for(2100)
        expect(page.locator("#connection")).to_contain_text("Your session has ended")
        asked = len(full_site.requests)
        page.keyboard.press("r")
        page.keyboard.press("r")  # what has ended does not go on, and it is still said
        page.clock.run_for(30_000)
        assert len(full_site.requests) == asked, name
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert len(page.locator("#live").inner_html()) == pytest.approx(len(shown), rel=0.05), name
        full_site.intercept = None


@pytest.mark.parametrize("width", [1280, 375])
def test_nothing_shifts_when_a_job_goes_on(full_site: LiveSite, page: Page, width: int) -> None:  # 19
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{full_site.url}/jobs/2")
    page.evaluate(WATCH_SHIFTS)
    output = Path(full_site.state.folder.output_file(2, 2))
    for number in range(4, 9):
        full_site.change(2, progress_done=number, updated_at=datetime.now(UTC))
        with output.open("a") as file:
            file.write(f"step {number}\n")
        look(page)
    expect(page.locator("progress")).to_have_attribute("value", "89")
    page.wait_for_timeout(100)
    assert page.evaluate("window.shift") == 0


def test_the_row_under_the_pointer_stays_where_it_is(site: LiveSite, page: Page) -> None:  # 6
    """At the top with the pointer on it, and where one has scrolled down."""
    page.set_viewport_size({"width": 1280, "height": 500})
    page.goto(f"{site.logs}?per_page=25")
    row = page.locator("#logs tbody tr").nth(6)
    for scrolled in (0, 400):
        page.evaluate("y => scrollTo(0, y)", scrolled)
        row.hover() if not scrolled else page.mouse.move(5, 5)
        before = [page.evaluate("scrollY"), row.bounding_box(), row.get_attribute("id")]
        for _ in range(2):
            site.add_logs(1, ["news"] * 3)
            look(page)
        assert [page.evaluate("scrollY"), row.bounding_box(), row.get_attribute("id")] == before
    expect(page.locator("#arrived")).to_have_text("12 new logs – Show")


def test_the_help_is_for_everybody(site: LiveSite, open_context: Callable[..., BrowserContext]) -> None:  # 18, 19
    for theme in ("light", "dark"):
        page = open_context(color_scheme=theme).new_page()
        page.goto(site.url)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            page.keyboard.press("?")
            expect(page.locator("#help")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(help)") == 0
            small = page.evaluate(
                """[...help.querySelectorAll("a, button, select")].map((it) => it.getBoundingClientRect())
                    .filter(({ width, height }) => width < 24 || height < 24).length"""
            )
            assert small == 0
            if width in (1280, 375):
                assert violations(page, theme) == [], (theme, width)
            page.keyboard.press("Escape")


def test_everything_works_below_a_prefix(site: LiveSite, page: Page) -> None:
    """As behind a proxy, or where several applications share a server."""
    inner = site.app.wsgi_app
    site.app.wsgi_app = DispatcherMiddleware(NotFound(), {"/tools": inner})  # type: ignore[method-assign]
    page.goto(site.logs.replace("/dashboard", "/tools/dashboard"))
    page.mouse.move(5, 5)
    new = site.add_logs(1, ["news"])
    look(page)
    assert rows(page)[0] == new[0]
    page.locator("#q").fill("log 3")
    expect(page.locator("#logs tbody tr")).to_have_count(3)
    assert re.search(r"/tools/dashboard.*\?q=log\+3", page.url)
    page.locator("#logs a").first.click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator(".job-state")).to_have_text("Cancelled")


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
    for address in (
        site.url,
        f"{site.url}/jobs/1",
        f"{site.url}?q=attacked",
        f"{site.url}/jobs",
        f"{site.url}/jobs?q=attacked",
    ):
        page.goto(address)
        look(page)
        page.mouse.move(300, 300)
        assert page.evaluate("window.attacked") is None
        assert page.locator("main script, main img, main b[hx-on\\:htmx\\:load]").count() == 0
    assert not [path for _, path, _ in site.requests if path.startswith("/attacked")]
