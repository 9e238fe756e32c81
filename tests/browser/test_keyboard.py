"""The keys of the dashboard: what each does, and when none of them does anything."""

from __future__ import annotations

import pytest
from live import LiveSite
from playwright.sync_api import Page, expect
from steps import is_focused, look, rows, until, until_first_row

THEME = "document.documentElement.dataset.theme ?? 'system'"
TICKS = """() => document.querySelectorAll("#logs tbody tr").forEach((row) => {
    row.cells[0].append(Object.assign(document.createElement("input"), { type: "checkbox" }));
})"""


def keys(page: Page, *pressed: str) -> None:
    for key in pressed:
        page.keyboard.press(key)


def test_help_lists_the_keys_and_gives_the_focus_back(site: LiveSite, page: Page) -> None:  # 17
    page.goto(site.logs)
    help_ = page.locator("#help")
    keys(page, "j", "?")
    expect(help_).to_be_visible()
    assert is_focused(page, "#help .button")
    assert help_.locator(".keys kbd").all_inner_texts() == [*"/jkoexn[]rt", "Esc", "?"]
    assert help_.locator(".keys-go a", has_text="Logs").inner_text().split() == ["g", "l", "Logs"]
    keys(page, "Escape")
    expect(help_).to_be_hidden()
    assert is_focused(page, "#logs tbody tr:first-child a")
    page.get_by_role("button", name="Keyboard and times").click()
    expect(help_).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(help_).to_be_hidden()
    assert is_focused(page, "[data-help]")


def test_from_row_to_row(site: LiveSite, page: Page) -> None:  # 17
    page.goto(site.logs)
    keys(page, "k")
    assert is_focused(page, "#logs tbody tr:nth-child(1) a")
    keys(page, "j", "j", "k", "j")
    assert is_focused(page, "#logs tbody tr:nth-child(3) a")
    keys(page, *"jjjjjjjjjj")
    assert is_focused(page, "#logs tbody tr:last-child a")
    keys(page, "e")
    expect(page.locator("#logs tbody tr:last-child .cell-details details")).to_have_attribute("open", "")
    keys(page, "e")
    expect(page.locator("#logs details[open]")).to_have_count(0)

    # Who is at the rows is not disturbed; who leaves them gets what is new.
    new = site.add_logs(1, ["new"])
    look(page)
    expect(page.locator("#arrived")).to_be_visible()
    keys(page, "Escape")
    page.mouse.move(5, 5)
    page.evaluate("scrollTo(0, 0)")
    look(page)
    assert rows(page)[0] == new[0]
    keys(page, "j", "o")
    expect(page.locator("h1")).to_contain_text("ExampleJob::run")


def test_enter_opens_a_row(site: LiveSite, page: Page) -> None:  # 17
    page.goto(site.logs)
    keys(page, "j", "Enter")
    expect(page.locator("h1")).to_contain_text("ExampleJob::run")


def test_selecting_is_a_click_with_or_without_shift(site: LiveSite, page: Page) -> None:  # 16
    page.goto(site.logs)
    keys(page, "j", "x")  # where nothing can be selected, nothing happens
    page.evaluate(TICKS)
    page.evaluate(
        "window.clicks = []; document.addEventListener('click', (event) => window.clicks.push(event.shiftKey))"
    )
    keys(page, "x", "j", "j", "Shift+X")
    ticked = page.evaluate("[...document.querySelectorAll('#logs [type=checkbox]')].map((it) => it.checked)")
    assert [number for number, it in enumerate(ticked) if it] == [0, 2]
    assert page.evaluate("window.clicks") == [False, True]
    page.locator("#logs tbody tr:nth-child(4) [type=checkbox]").focus()
    keys(page, "j")  # a tick box takes no text
    assert is_focused(page, "#logs tbody tr:nth-child(5) a")
    page.locator("#logs tbody tr:nth-child(4) [type=checkbox]").focus()
    keys(page, "Enter")
    expect(page.locator("h1")).to_contain_text("ExampleJob::run")


def test_new_newer_older(site: LiveSite, page: Page) -> None:  # 17
    page.goto(site.logs)
    first = rows(page)
    keys(page, "]")
    until_first_row(page, first[-1] - 1)
    keys(page, "[")
    until_first_row(page, first[0])
    keys(page, "Escape", "j")
    new = site.add_logs(1, ["new"] * 2)
    look(page)
    expect(page.locator("#arrived")).to_have_text("2 new logs – Show")
    keys(page, "n")
    until_first_row(page, new[-1])
    assert not is_focused(page, "body")


def test_search_is_reached_cleared_and_left(site: LiveSite, page: Page) -> None:  # 17
    page.goto(site.logs)
    keys(page, "/")
    assert is_focused(page, "#q")
    assert page.input_value("#q") == ""
    page.keyboard.type("log 3")
    expect(page.locator("#logs tbody tr")).to_have_count(3)
    keys(page, "Escape")
    assert page.input_value("#q") == ""
    expect(page.locator("#logs tbody tr")).to_have_count(10)
    until(page, "location.search === ''")
    assert is_focused(page, "#q")
    keys(page, "Escape", "j")
    assert is_focused(page, "#logs tbody tr:first-child a")


def test_pause_and_theme(site: LiveSite, page: Page) -> None:  # 17
    page.goto(site.logs)
    choice = page.get_by_label("Updates")
    choice.select_option("15 s")
    choice.evaluate("it => it.blur()")
    keys(page, "r")
    expect(page.locator("[data-live-words]")).to_have_text("Paused")
    expect(page.locator("#announcer")).to_have_text("Updates: Paused")
    keys(page, "r")
    assert choice.input_value() == "15"
    expect(page.locator("[data-live-words]")).to_have_text("Live")
    themes = []
    for _ in range(3):
        keys(page, "t")
        themes.append(page.evaluate(THEME))
    assert themes == ["light", "dark", "system"]


def test_going_to_another_page(site: LiveSite, page: Page) -> None:  # 17
    page.clock.install()
    page.goto(f"{site.url}/jobs/1")
    keys(page, "g", "z", "l")  # there is no page of that key, and then it is over
    keys(page, "g")
    page.clock.run_for(2000)
    keys(page, "l")
    page.wait_for_timeout(100)
    assert page.url.endswith("/jobs/1")
    keys(page, "g", "l")
    page.wait_for_url(site.logs)


@pytest.mark.parametrize("pressed", ["Control+T", "Alt+T", "Meta+T"])
def test_keys_of_the_browser_are_left_to_it(site: LiveSite, page: Page, pressed: str) -> None:  # 17
    page.goto(site.logs)
    page.evaluate(
        """(pressed) => {
            const [modifier] = pressed.split("+");
            const name = { Control: "ctrlKey", Alt: "altKey", Meta: "metaKey" }[modifier];
            const options = { key: "t", [name]: true, bubbles: true, cancelable: true };
            window.prevented = !document.body.dispatchEvent(new KeyboardEvent("keydown", options));
        }""",
        pressed,
    )
    assert page.evaluate("window.prevented") is False
    assert page.evaluate(THEME) == "system"


@pytest.mark.parametrize("detail", ["isComposing: true", "repeat: true"])
def test_a_key_that_composes_or_repeats_does_nothing(site: LiveSite, page: Page, detail: str) -> None:  # 17
    page.goto(site.logs)
    page.evaluate(
        f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{ key: 't', bubbles: true, {detail} }}))"
    )
    assert page.evaluate(THEME) == "system"


def test_keys_are_text_where_text_is_typed(site: LiveSite, page: Page) -> None:  # 17
    page.goto(site.logs)
    page.locator("#q").focus()
    page.keyboard.type("t/?rjx")
    assert page.input_value("#q") == "t/?rjx"
    page.locator("select[name=per_page]").focus()
    keys(page, "t")
    page.get_by_role("radio", name="Info").focus()
    keys(page, "t")
    assert page.evaluate(THEME) == "system"
    expect(page.locator("[data-live-words]")).to_have_text("Live")
    expect(page.locator("#help")).to_be_hidden()


def test_a_dialog_has_the_keys_for_itself(site: LiveSite, page: Page) -> None:  # 17
    page.goto(f"{site.url}/jobs/1")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#confirm")).to_be_visible()
    keys(page, "t", "?", "r")
    assert page.evaluate(THEME) == "system"
    expect(page.locator("#help")).to_be_hidden()
    keys(page, "Escape")
    expect(page.locator("#confirm")).to_be_hidden()
    keys(page, "t")
    assert page.evaluate(THEME) == "light"


def test_keys_can_be_turned_off_and_on(site: LiveSite, page: Page) -> None:  # 17
    page.goto(site.logs)
    keys(page, "?")
    page.get_by_label("Single keys").select_option("Off")
    keys(page, "Escape")
    for _ in range(2):
        keys(page, "t", "?", "j")
        assert page.evaluate(THEME) == "system"
        expect(page.locator("#help")).to_be_hidden()
        assert not is_focused(page, "#logs a")
        page.reload()
    page.get_by_role("button", name="Keyboard and times").click()
    page.get_by_label("Single keys").select_option("On")
    keys(page, "Escape", "t")
    assert page.evaluate(THEME) == "light"


def test_the_focus_is_never_covered(site: LiveSite, page: Page) -> None:  # 17
    """The note of new rows lies over a row; what gets the focus there comes out from under it."""
    page.set_viewport_size({"width": 375, "height": 400})
    page.goto(f"{site.logs}?per_page=25")
    keys(page, "j")
    site.add_logs(1, ["new"])
    look(page)
    expect(page.locator("#arrived")).to_be_visible()
    is_seen = """(it) => {
        const box = it.getBoundingClientRect();
        return it.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
    }"""
    row = page.locator("#logs tbody tr").nth(8)
    summary = row.locator("summary")
    row.locator("a").evaluate("it => it.focus({ preventScroll: true })")
    summary.evaluate("it => scrollBy(0, it.getBoundingClientRect().top - 12)")
    assert not summary.evaluate(is_seen)
    keys(page, "Tab")
    assert summary.evaluate("it => it === document.activeElement")
    assert summary.evaluate(is_seen)
