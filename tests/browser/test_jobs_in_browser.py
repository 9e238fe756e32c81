"""The list of jobs in a browser: selecting, acting on many, and news that leave the reader alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from live import LiveSite
from playwright.sync_api import BrowserContext, Page, expect
from steps import is_focused, look, until

from bgjobs.dashboard.jobs import choices
from bgjobs.dashboard.shared import Shared


@pytest.fixture(autouse=True)
def counts_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "shared", Shared(seconds=0.0))


@pytest.fixture
def jobs_url(site: LiveSite) -> str:
    return f"{site.url}/jobs"


def ticked(page: Page) -> list[int]:
    return [
        int(value)
        for value in page.evaluate("[...document.querySelectorAll('[name=job]:checked')].map(it => it.value)")
    ]


def first_row(page: Page) -> str:
    return str(page.evaluate("document.querySelector('#jobs tbody tr').id"))


def test_filters_sort_and_pages_follow_the_address(site: LiveSite, page: Page, jobs_url: str) -> None:
    failed = site.dispatch_many(14, status="failed")
    page.goto(jobs_url)
    page.get_by_role("link", name="Failed").click()
    page.wait_for_url("**/jobs?state=failed")
    expect(page.locator("#tab-failed")).to_have_attribute("aria-current", "page")
    page.locator("#q").fill("example")
    page.wait_for_url("**/jobs?state=failed&q=example")
    page.get_by_role("button", name="Created").click()
    page.wait_for_url("**/jobs?state=failed&q=example&sort=oldest")
    expect(page.locator("th[aria-sort]")).to_have_attribute("aria-sort", "ascending")
    assert first_row(page) == f"job-{failed[0]}"
    page.locator("#newer").click()
    expect(page.locator("#jobs tbody tr")).to_have_count(4)
    expect(page.locator("select[name=class]")).to_be_hidden()
    page.get_by_text("More filters").click()
    page.locator("select[name=class]").select_option("bgjobs.example_job.ExampleJob::slow")
    page.wait_for_url("**class=bgjobs.example_job.ExampleJob::slow**")
    assert "state=failed" in page.url
    assert "sort=oldest" in page.url
    expect(page.locator(".empty")).to_contain_text("No jobs match example among those that are failed.")
    expect(page.locator(".narrowed")).to_have_text("Only of the class bgjobs.example_job.ExampleJob::slow")
    page.get_by_role("link", name="Clear all filters").click()
    expect(page.locator("#jobs tbody tr")).to_have_count(10)
    assert page.input_value("#q") == ""
    assert page.input_value("select[name=class]") == ""
    page.go_back()
    expect(page.locator(".empty")).to_be_visible()
    assert page.input_value("#q") == "example"


def test_a_range_is_selected_and_survives_news(site: LiveSite, page: Page, jobs_url: str) -> None:  # 16
    ids = site.dispatch_many(12, status="failed")
    page.goto(jobs_url)
    bar = page.locator("#bulk")
    expect(bar).to_be_hidden()
    boxes = page.locator("[name=job]")
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    assert ticked(page) == ids[::-1][1:5]
    expect(bar).to_contain_text("4 selected")
    boxes.nth(3).click()
    boxes.nth(2).click(modifiers=["Shift"])
    assert ticked(page) == [ids[-2], ids[-5]]
    page.mouse.move(5, 5)
    page.evaluate(
        "scrollTo(0, 0); window.row = document.querySelector('#jobs tbody tr');"
        "window.box = row.querySelector('input')"
    )
    page.evaluate("document.activeElement.blur()")
    site.change(ids[-2], status="pending", retry_count=0)
    site.dispatch_many(3)
    for _ in range(3):
        look(page)
    expect(page.locator("#arrived")).to_have_text("3 new jobs – Show")
    assert ticked(page) == [ids[-2], ids[-5]]
    assert page.evaluate("window.row.isConnected && window.box.isConnected")
    expect(page.locator(f"#job-{ids[-2]} .badge")).to_have_text("Pending")
    expect(bar).to_contain_text("2 selected")
    page.locator("[name=job]:checked").first.uncheck()
    page.locator("[name=job]:checked").first.uncheck()
    expect(bar).to_be_hidden()
    page.mouse.move(5, 5)
    page.evaluate("document.activeElement.blur()")
    look(page)
    expect(page.locator("#arrived")).to_have_count(0)
    assert first_row(page) == f"job-{ids[-1] + 3}"


def test_focus_on_a_box_survives_news(site: LiveSite, page: Page, jobs_url: str) -> None:
    ids = site.dispatch_many(3)
    page.goto(jobs_url)
    box = page.locator(f"#job-{ids[0]} [name=job]")
    box.focus()
    page.keyboard.press("Space")
    site.state.store.cancel(ids[1])
    look(page)
    expect(page.locator(f"#job-{ids[1]} .badge")).to_have_text("Cancelled")
    assert is_focused(page, f"[name=job][value='{ids[0]}']:checked")


def test_a_selection_is_retried_without_a_question(site: LiveSite, page: Page, jobs_url: str) -> None:
    ids = site.dispatch_many(3, status="failed")
    site.change(ids[0], status="completed")
    page.goto(f"{jobs_url}?per_page=25")
    for job_id in ids:
        page.locator(f"#job-{job_id} [name=job]").check()
    page.get_by_role("button", name="Retry").dblclick()
    result = page.locator("#answer")
    expect(result).to_have_text("2 retried, 1 had neither failed nor been cancelled.")
    assert is_focused(page, "#answer .notice")
    assert [site.row(job_id).status for job_id in ids] == ["completed", "pending", "pending"]
    assert len([it for it in site.requests if it[0] == "POST"]) == 1
    assert ticked(page) == []
    look(page)
    expect(result).to_contain_text("2 retried")
    page.get_by_role("link", name="Failed").click()
    expect(result).to_be_empty()


def test_deleting_asks_first(site: LiveSite, page: Page, jobs_url: str) -> None:
    ids = site.dispatch_many(3, status="failed")
    page.goto(jobs_url)
    for job_id in ids[:2]:
        page.locator(f"#job-{job_id} [name=job]").check()
    delete, dialog = page.locator("#bulk").get_by_role("button", name="Delete"), page.locator("dialog[open]")
    delete.click()
    expect(dialog).to_contain_text("Delete 2 jobs? What belongs to them goes, too")
    assert is_focused(page, "dialog button[value='']")
    expect(dialog.locator("#confirm-typed")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert is_focused(page, "#bulk button[value=delete]")
    assert [it for it in site.requests if it[0] == "POST"] == []
    delete.click()
    dialog.get_by_role("button", name="Delete 2 jobs").click()
    expect(page.locator("#answer")).to_have_text("2 deleted.")
    expect(page.locator(f"#job-{ids[2]}")).to_be_visible()
    expect(page.locator(f"#job-{ids[0]}")).to_have_count(0)


def test_all_matching_with_the_number_typed(site: LiveSite, page: Page, jobs_url: str) -> None:  # 16
    ids = site.dispatch_many(214, status="failed")
    page.goto(f"{jobs_url}?state=failed")
    page.locator("#tick-all").check()
    expect(page.locator("#bulk")).to_contain_text("10 selected")
    page.get_by_label("Select all 214 matching").check()
    expect(page.locator("#bulk")).to_contain_text("214 selected")
    look(page)
    expect(page.get_by_label("Select all 214 matching")).to_be_checked()
    page.locator("#bulk").get_by_role("button", name="Delete").click()
    dialog = page.locator("dialog[open]")
    yes = dialog.get_by_role("button", name="Delete 214 jobs")
    expect(dialog).to_contain_text("Type 214 to go on")
    assert is_focused(page, "dialog button[value='']")
    expect(yes).to_be_disabled()
    for typed in ("213", "yes", "2140"):
        dialog.locator("#confirm-typed").fill(typed)
        expect(yes).to_be_disabled()
    dialog.locator("#confirm-typed").fill("214")
    yes.click()
    page.wait_for_url(f"**/jobs/{ids[-1] + 1}")
    expect(page.locator("h1")).to_contain_text("BulkAction::run")
    with site.state.store.changing() as changes:
        changes.claim(
            [{"host": "h", "boot_id": "b", "pid_namespace": "n", "pid": 1, "process_started": "1"}],
            backend="local",
            job_ids=[ids[-1] + 1],
        )
    for done in (50, 150):
        progress = {"progress_done": done, "progress_total": 214, "progress_message": f"{done} deleted"}
        site.change(ids[-1] + 1, **progress, updated_at=datetime.now(UTC))
        look(page)
        expect(page.locator(".progress")).to_contain_text(f"{done} of 214")
        expect(page.locator(".progress")).to_contain_text(f"{done} deleted")
    assert site.row(ids[-1] + 1).parameters["job_ids"] == ids[::-1]


def test_taking_one_away_is_not_all_any_more(site: LiveSite, page: Page, jobs_url: str) -> None:
    site.dispatch_many(120, status="failed")
    page.goto(jobs_url)
    page.locator("#tick-all").check()
    all_of_them = page.locator("#bulk [name=all]")
    all_of_them.check()
    page.locator("[name=job]").nth(2).uncheck()
    expect(all_of_them).not_to_be_checked()
    expect(page.locator("#bulk")).to_contain_text("9 selected")
    assert page.evaluate("document.querySelector('#tick-all').indeterminate")


def test_by_keyboard_alone(site: LiveSite, page: Page, jobs_url: str) -> None:  # 17
    (job_id,) = site.dispatch_many(1)
    page.goto(jobs_url)
    page.locator("#tick-all").focus()
    for expected in ("#sort", f"[name=job][value='{job_id}']"):
        page.keyboard.press("Tab")
        assert is_focused(page, expected)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Space")
    expect(page.locator("#bulk")).to_be_visible()
    for _ in range(60):
        page.keyboard.press("Shift+Tab")
        if is_focused(page, "#bulk button[value=cancel]"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("dialog[open]")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_have_text("1 cancelled or asked to stop.")


def test_without_javascript(
    site: LiveSite, open_context: Callable[..., BrowserContext], jobs_url: str
) -> None:  # 20
    ids = site.dispatch_many(105, status="failed")
    page = open_context(java_script_enabled=False).new_page()
    page.goto(jobs_url)
    expect(page.locator("#bulk")).to_be_visible()
    expect(page.locator("#tick-all")).to_be_hidden()
    page.locator("#q").fill("slow")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#jobs tbody tr")).to_have_count(1)
    page.goto(jobs_url)
    page.get_by_role("button", name="Created").click()
    assert page.url.endswith("/jobs?sort=oldest")
    page.goto(f"{jobs_url}?state=failed")
    page.locator(f"#job-{ids[-1]} [name=job]").check()
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#answer")).to_have_text("1 retried.")
    assert "state=failed" in page.url
    page.locator(f"#job-{ids[-2]} [name=job]").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("h1")).to_have_text("Delete 1 job?")
    page.get_by_role("button", name="Delete 1 job").click()
    expect(page.locator("#answer")).to_have_text("1 deleted.")
    page.get_by_label("Select all 103 matching").check()
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("h1")).to_have_text("Retry 103 jobs?")
    page.get_by_label("Type 103 to go on").fill("103")
    page.get_by_role("button", name="Retry 103 jobs").click()
    expect(page.locator("h1")).to_contain_text("BulkAction::run")


def test_on_a_phone(site: LiveSite, open_context: Callable[..., BrowserContext], jobs_url: str) -> None:  # 19
    site.dispatch_many(12, status="failed")
    page = open_context(viewport={"width": 375, "height": 700}).new_page()
    page.goto(jobs_url)
    page.locator("[name=job]").first.check()
    bar = page.locator("#bulk").bounding_box()
    assert bar is not None
    assert (bar["x"], bar["width"], round(bar["y"] + bar["height"])) == (0, 375, 700)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert page.get_by_role("columnheader").count() == 8
    assert page.get_by_role("cell").count() == 80
    page.locator("[name=job]").nth(9).scroll_into_view_if_needed()
    page.locator("[name=job]").nth(9).focus()
    box = page.locator("[name=job]").nth(9).bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < bar["y"]


def test_nothing_shifts_when_the_bar_comes(site: LiveSite, page: Page, jobs_url: str) -> None:
    site.dispatch_many(12, status="failed")
    page.goto(jobs_url)
    top = "document.querySelector('#jobs').getBoundingClientRect().top"
    before = page.evaluate(top)
    page.locator("[name=job]").nth(3).check()
    expect(page.locator("#bulk")).to_be_visible()
    assert page.evaluate(top) == before


def test_a_stale_tab_still_acts(
    site: LiveSite, open_context: Callable[..., BrowserContext], jobs_url: str
) -> None:
    (job_id,) = site.dispatch_many(1, status="failed")
    context = open_context()
    tab = context.new_page()
    tab.goto(jobs_url)
    context.clear_cookies()
    context.new_page().goto(jobs_url)
    look(tab)
    tab.locator(f"#job-{job_id} [name=job]").check()
    tab.get_by_role("button", name="Retry").click()
    expect(tab.locator("#answer")).to_have_text("1 retried.")


def test_a_removal_is_seen_by_others(site: LiveSite, page: Page, jobs_url: str) -> None:
    ids = site.dispatch_many(5, status="failed")
    page.goto(jobs_url)
    client = site.client()
    client.get("/dashboard/jobs")
    cookie = client.get_cookie("bgjobs_csrf", path="/dashboard")
    assert cookie is not None
    data = {"csrf_token": cookie.value, "action": "delete", "job": ids[2], "confirmed": "yes"}
    assert client.post("/dashboard/bulk", data=data).status_code == 303
    look(page)
    until(page, "id => !document.getElementById(id)", f"job-{ids[2]}")
