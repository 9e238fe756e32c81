"""Pictures of the dashboard while real jobs run: ``python tests/browser/screenshots.py``.

Writes ``screenshots/`` (both themes, four widths), to be looked at by a person, and ``docs/dashboard.png`` for
the README.
"""

from __future__ import annotations

import urllib.request
from pathlib import Path

from demo import HOUSE, demo
from live import ARGUMENTS, WATCHED, chromium
from playwright.sync_api import Browser, Page, expect, sync_playwright
from steps import look, until

WIDTHS = (1280, 768, 375, 320)
CASES = ("run", "fail", "crash", "flaky", "long", "slow")
VIEWS = {
    "home": "/?job=6",
    "logs": "/dashboard",
    "second-page": "/dashboard?page=2",
    "search": "/dashboard?q=retry",
    "no-match": "/dashboard?q=zebra",
    "jobs": "/dashboard/jobs",
    "jobs-failed": "/dashboard/jobs?state=failed&result=retry-2-1-0",
    "jobs-no-match": "/dashboard/jobs?q=zebra&state=running&foo=1",
    "job-running": "/dashboard/jobs/6",
    "job-failed": "/dashboard/jobs/2",
    "job-lost": "/dashboard/jobs/3",
    "job-retried": "/dashboard/jobs/4",
    "job-gone": "/dashboard/jobs/999",
}


def main() -> None:
    target = HOUSE / "screenshots"
    target.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        show_the_shop(browser)
        show_everything(browser, target)
        browser.close()
    print(f"{len(list(target.glob('*.png')))} pictures in {target}")


def show_the_shop(browser: Browser) -> None:
    """The picture for the README."""
    with demo(HOUSE / "tests" / "browser" / "shop.py") as home:
        urllib.request.urlopen(urllib.request.Request(f"{home}/work", method="POST")).close()
        page = browser.new_page(viewport={"width": 1120, "height": 720})
        page.goto(f"{home}/dashboard")
        newest = page.locator("#logs tbody tr").first
        expect(newest).to_contain_text("not a picture", timeout=40_000)
        expect(newest).to_contain_text("completed", timeout=40_000)
        page.locator("#logs tr", has_text="did not answer").locator("summary").click()
        page.mouse.move(5, 5)
        page.screenshot(path=HOUSE / "docs" / "dashboard.png", full_page=True)
        page.close()


def show_everything(browser: Browser, target: Path) -> None:
    with demo() as home:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(WATCHED)
        page.goto(f"{home}/dashboard")
        take(page, target, "empty")
        run_jobs(page, home)
        for name, address in VIEWS.items():
            page.goto(home + address)
            take(page, target, name)
        page.goto(f"{home}/dashboard")
        page.locator("#logs summary").nth(1).click()
        take(page, target, "details")
        page.goto(f"{home}/dashboard/jobs")
        page.locator("#tick-all").check()
        take(page, target, "jobs-selected", full_page=False)
        page.goto(f"{home}/dashboard/jobs/5")
        page.get_by_role("button", name="Cancel", exact=True).click()
        take(page, target, "cancel", full_page=False)
        page.goto(f"{home}/dashboard")
        page.route("**/dashboard", lambda route: route.abort())
        for _ in range(3):
            look(page)
        take(page, target, "disconnected")
        page.get_by_label("Updates").select_option("Paused")
        take(page, target, "paused", full_page=False)
        page.keyboard.press("?")
        take(page, target, "help", full_page=False)
        page.close()


def run_jobs(page: Page, home: str) -> None:
    """One job of each kind, until the one that takes a while is half way through."""
    for case in CASES:
        page.goto(home)
        page.click(f"form[action='/dispatch/{case}'] button")
        page.wait_for_load_state()
    page.goto(f"{home}/dashboard/jobs/{len(CASES)}")
    until(page, "document.querySelector('progress')?.value >= 50", seconds=30)


def take(page: Page, target: Path, name: str, *, full_page: bool = True) -> None:
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            page.screenshot(path=target / f"{name}-{width}-{theme}.png", full_page=full_page)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="light")


if __name__ == "__main__":
    main()
