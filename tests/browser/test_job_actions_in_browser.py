"""What can be done with a job, in a browser: the menu, the question, the way back, and the form."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from live import Errors, LiveSite
from playwright.sync_api import BrowserContext, Page, expect
from steps import is_focused, look
from test_for_everybody import SIZES, WIDE_AND_SMALL, open_details, violations

ENDED = {"status": "failed", "completed_at": datetime(2026, 11, 24, 12, 4, 30, tzinfo=UTC)}
RUNNING = {"status": "running", "started_at": datetime.now(UTC), "backend": "local"}


def posts(site: LiveSite) -> list[str]:
    return [path for method, path, _ in site.requests if method == "POST"]


def open_menu(page: Page) -> None:
    page.locator("#more > summary").click()
    expect(page.locator("#more")).to_have_attribute("open", "")


def test_kill_asks_first_and_the_focus_comes_back(site: LiveSite, page: Page) -> None:  # 15
    site.change(2, **RUNNING)
    page.goto(f"{site.url}/jobs/2")
    dialog, kill = page.locator("#confirm"), page.get_by_role("button", name="Kill…")
    open_menu(page)
    kill.click()
    expect(dialog).to_contain_text("Kill job #2? It and everything it started end at once, and it cannot tidy up.")
    assert is_focused(page, "#confirm button[value='']")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert is_focused(page, "#kill")
    assert posts(site) == []
    kill.click()
    page.get_by_role("button", name="Kill the job").click()
    expect(page.locator(".job-state")).to_contain_text("being killed")
    expect(page.locator("#more")).to_have_count(0)
    assert not is_focused(page, "body")
    assert posts(site) == ["/dashboard/jobs/2/kill"]
    assert site.row(2).kill_requested_at is not None


def test_the_menu_by_keyboard_alone(site: LiveSite, page: Page) -> None:  # 17
    site.change(2, **RUNNING)
    page.goto(f"{site.url}/jobs/2")
    page.locator("#cancel").focus()
    page.keyboard.press("Tab")
    assert is_focused(page, "#more > summary")
    page.keyboard.press("Enter")
    expect(page.locator("#more")).to_have_attribute("open", "")
    page.keyboard.press("Tab")
    assert is_focused(page, "#pause")
    look(page)
    expect(page.locator("#more")).to_have_attribute("open", "")  # a look for news leaves it open
    page.keyboard.press("Escape")
    expect(page.locator("#more")).not_to_have_attribute("open", "")
    assert is_focused(page, "#more > summary")
    page.keyboard.press("Space")
    page.locator("h1").click()
    expect(page.locator("#more")).not_to_have_attribute("open", "")
    page.locator("#more > summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".job-state")).to_contain_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".job-state")).not_to_contain_text("paused")
    assert posts(site) == ["/dashboard/jobs/2/pause", "/dashboard/jobs/2/resume"]


def test_a_retry_is_taken_back(site: LiveSite, page: Page) -> None:
    site.change(1, **ENDED)
    page.goto(f"{site.url}/jobs/1")
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.locator("#answer")).to_contain_text("Job #1 will run again.")
    expect(page.locator("#why")).to_contain_text("BGJOBS_AUTOSTART is off")
    look(page)
    expect(page.locator("#answer")).to_contain_text("Job #1 will run again.")  # until something else is done
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".job-state")).to_have_text("Cancelled")
    expect(page.locator("#answer")).to_be_empty()
    assert not is_focused(page, "body")
    assert site.messages(1)[-1] == ("info", "Retry taken back on the dashboard")


def test_an_undo_that_comes_too_late_is_told(site: LiveSite, page: Page, errors: Errors) -> None:  # 15
    errors.expected = True  # the console notes every 409
    site.change(1, **ENDED)
    page.goto(f"{site.url}/jobs/1")
    page.get_by_role("button", name="Retry", exact=True).click()
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    site.change(1, **{**ENDED, "status": "completed"})
    undo.click()
    expect(page.locator("#answer")).to_contain_text(
        "Job #1 already finished at 12:04:30 UTC; nothing was taken back."
    )


def test_delete_asks_first_and_leads_to_the_list(site: LiveSite, page: Page) -> None:
    site.change(1, **ENDED)
    page.goto(f"{site.url}/jobs/1")
    open_menu(page)
    page.get_by_role("button", name="Delete…").click()
    expect(page.locator("#confirm")).to_contain_text("Delete job #1?")
    page.get_by_role("button", name="Leave it").click()
    assert site.row(1).status == "failed"
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete the job").click()
    expect(page.locator("main")).to_contain_text("Job #1 was deleted, with its logs and its output.")
    assert "/jobs/1" not in page.url
    page.reload()
    expect(page.locator("main")).not_to_contain_text("was deleted")


def test_retry_with_other_parameters(site: LiveSite, page: Page, errors: Errors) -> None:
    errors.expected = True  # the console notes every 422
    site.change(2, **ENDED)
    page.goto(f"{site.url}/jobs/2")
    open_menu(page)
    page.get_by_role("link", name="Edit and retry…").click()
    expect(page.locator("h1")).to_have_text("Retry job #2 with other parameters")
    seconds = page.get_by_label("seconds")
    expect(seconds).to_have_value("3")
    seconds.fill("soon")
    page.get_by_label("steps").fill("4")
    page.get_by_role("button", name="Dispatch the new job").click()
    expect(page.locator(".field-error")).to_have_text("Must be a number, such as 2.5.")
    expect(page.get_by_label("seconds")).to_have_value("soon")
    expect(page.get_by_label("steps")).to_have_value("4")
    expect(page.get_by_label("seconds")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("seconds").fill("0.5")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("#3 ExampleJob::slow")
    expect(page.locator("#answer")).to_contain_text("Dispatched as job #3, a retry with other parameters.")
    row = site.row(3)
    assert (row.parameters, row.retry_of) == ({"seconds": 0.5, "steps": 4}, 2)


def test_sent_with_a_double_click_it_makes_one_job(site: LiveSite, page: Page) -> None:
    site.change(2, **ENDED)
    page.goto(f"{site.url}/jobs/2/edit")
    page.get_by_label("seconds").fill("1")
    page.get_by_role("button", name="Dispatch the new job").dblclick()
    expect(page.locator("h1")).to_have_text("#3 ExampleJob::slow")
    with site.state.store.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM background_jobs WHERE retry_of = 2").scalar() == 1


def test_without_javascript(
    site: LiveSite, open_context: Callable[..., BrowserContext], errors: Errors
) -> None:  # 20
    errors.expected = True  # the console notes every 422
    page = open_context(java_script_enabled=False).new_page()
    site.change(1, **ENDED)
    site.change(2, **RUNNING)
    page.goto(f"{site.url}/jobs/1")
    page.get_by_role("button", name="Retry", exact=True).click()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".job-state")).to_have_text("Cancelled")
    page.locator("#more > summary").click()
    page.get_by_role("link", name="Edit and retry…").click()
    page.get_by_label("Parameters").fill("{")
    page.get_by_role("button", name="Dispatch the new job").click()
    expect(page.locator(".field-error")).to_contain_text("Not JSON")
    page.get_by_label("Parameters").fill('{"to": "grace"}')
    page.get_by_role("button", name="Dispatch the new job").click()
    expect(page.locator("h1")).to_have_text("#3 ExampleJob::run")
    for action in ("Pause", "Resume", "Kill…"):
        page.goto(f"{site.url}/jobs/2")
        if action != "Resume":
            page.locator("#more > summary").click()
        page.get_by_role("button", name=action).click()
    expect(page.locator(".job-state")).to_contain_text("being killed")
    page.goto(f"{site.url}/jobs/1")
    page.locator("#more > summary").click()
    page.get_by_role("button", name="Delete…").click()
    expect(page.locator("main")).to_contain_text("Job #1 was deleted")


@pytest.mark.parametrize("width", [320, 375, 1280])
def test_the_open_menu_fits_into_the_window(site: LiveSite, page: Page, width: int) -> None:  # 19
    site.change(1, **ENDED)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{site.url}/jobs/1")
    open_menu(page)
    box = page.locator(".menu-items").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_menu_the_reasons_and_the_form_are_for_everybody(
    site: LiveSite, open_context: Callable[..., BrowserContext], errors: Errors, theme: Any
) -> None:  # 18, 19
    errors.expected = True  # the console notes every 422
    secret = {"to": "ada", "password": "hidden-canary", "x" * 300: "y" * 300}
    site.change(1, **ENDED, parameters=secret)
    site.change(2, parameters={"seconds": 3, "gone" * 100: 1})
    page = open_context(color_scheme=theme).new_page()
    for name in ("menu", "said", "waiting", "form", "refused"):
        page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
        page.goto(
            f"{site.url}/jobs/{2 if name == 'waiting' else 1}{'/edit' if name in ('form', 'refused') else ''}"
        )
        if name == "menu":
            open_menu(page)
        elif name == "said":
            page.get_by_role("button", name="Retry", exact=True).click()
            expect(page.get_by_role("button", name="Undo")).to_be_visible()
            site.change(1, **ENDED)
        elif name == "waiting":
            open_details(page)
        elif name == "refused":
            page.get_by_label("Parameters").fill("{")
            page.get_by_role("button", name="Dispatch the new job").click()
            expect(page.locator(".field-error")).to_be_visible()
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            if (width, height) in WIDE_AND_SMALL:
                assert violations(page, theme) == [], (name, width)
        assert "hidden-canary" not in page.content()
