"""Pictures of the demo application while real jobs run: ``python tests/browser/screenshots.py``.

Writes ``screenshots/`` (both themes, three widths), and ``docs/dashboard.png`` for the README.
"""

from __future__ import annotations

from demo import HOUSE, demo
from live import ARGUMENTS, chromium
from playwright.sync_api import Page, sync_playwright
from steps import until

WIDTHS = (1280, 768, 375)
CASES = ("run", "fail", "crash", "flaky", "long", "slow")


def run_jobs(page: Page, home: str) -> None:
    """One job of each kind, until the one that takes a while is half way through."""
    for case in CASES:
        page.goto(home)
        page.click(f"form[action='/dispatch/{case}'] button")
        page.wait_for_load_state()
    page.goto(f"{home}/dashboard/jobs/{len(CASES)}")
    until(page, "document.querySelector('progress')?.value >= 50", seconds=30)


def main() -> None:
    target = HOUSE / "screenshots"
    target.mkdir(exist_ok=True)
    path = chromium()
    with demo() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        run_jobs(page, home)
        views = {
            "home": "/?job=6",
            "logs": "/dashboard",
            "search": "/dashboard?q=retry",
            "no-match": "/dashboard?q=zebra",
            "job-running": "/dashboard/jobs/6",
            "job-failed": "/dashboard/jobs/3",
            "job-retried": "/dashboard/jobs/4",
            "job-gone": "/dashboard/jobs/999",
        }
        page.goto(f"{home}/dashboard")
        page.locator("#logs summary").nth(1).click()
        page.screenshot(path=HOUSE / "docs" / "dashboard.png", full_page=True)
        for name, address in views.items():
            page.goto(home + address)
            for theme in ("light", "dark"):
                page.emulate_media(color_scheme=theme)
                for width in WIDTHS:
                    page.set_viewport_size({"width": width, "height": 800})
                    page.screenshot(path=target / f"{name}-{width}-{theme}.png", full_page=True)
        browser.close()
    print(f"{len(views) * 2 * len(WIDTHS)} pictures in {target}")


if __name__ == "__main__":
    main()
