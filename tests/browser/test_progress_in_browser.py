"""The progress of a job in pages of the host: the demo, a host with a strict policy, a host with htmx."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo import demo
from flask import Response, render_template_string
from live import LiveSite
from playwright.sync_api import BrowserContext, Page, expect
from steps import until

BOX = """<!doctype html><html lang="en"><head><title>Order</title><meta charset="utf-8">
<link rel="icon" href="/dashboard/static/icon.svg">{{ head }}</head><body><main>
<h1>Your order</h1>{% from "bgjobs/progress.html" import bgjobs_progress %}{{ bgjobs_progress(2, result=true) }}
</main></body></html>"""
# Stricter than most: no inline anything, nothing evaluated, and no text made to elements by a script.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "require-trusted-types-for 'script'"
)
HTMX = Path(__file__).parents[2] / "static" / "bgjobs" / "htmx-4.0.1.min.js"


def host(site: LiveSite, *, policy: str = "", head: str = "") -> str:
    """A page of the host that shows job 2; its address."""
    site.app.config["SECRET_KEY"] = "a key"

    def order() -> Response:
        response = Response(render_template_string(BOX.replace("{{ head }}", head)))
        if policy:
            response.headers["Content-Security-Policy"] = policy
        return response

    site.app.add_url_rule("/order", view_func=order)
    return f"{site.server.url}/order"


def run(site: LiveSite, done: int) -> None:
    site.change(2, status="running", progress_done=done, progress_total=10, progress_message=f"step {done}")


def asked(site: LiveSite) -> int:
    return sum(path.startswith("/dashboard/progress/") for _, path, _ in site.requests)


def test_the_demo_shows_it_until_the_job_is_completed(page: Page) -> None:
    with demo() as home:
        page.goto(home)
        page.get_by_role("button", name="Run: Take a while").click()
        box = page.locator(".bgjobs-progress")
        expect(box).to_have_attribute("data-status", "running")
        page.evaluate("window.same = true")
        until(page, "document.querySelector('.bgjobs-progress progress').value >= 20")
        expect(box).to_have_attribute("data-status", "completed")
        expect(box).to_contain_text("Completed")
        expect(box).to_contain_text("10 steps done")
        assert page.evaluate("window.same"), "the page was loaded anew"
        assert page.locator("[data-bgjobs-progress]").count() == 0  # it asks no more
        page.close()


def test_under_a_strict_policy_of_the_host(site: LiveSite, page: Page) -> None:
    """Any violation would be in the console, which has to be empty."""
    address = host(site, policy=POLICY)
    run(site, 1)
    page.goto(address)
    box = page.locator(".bgjobs-progress")
    expect(box).to_contain_text("1 of 10")
    box.evaluate("it => { window.box = it; window.state = it.querySelector('b'); }")
    run(site, 5)
    expect(box).to_contain_text("step 5")
    until(page, "document.querySelector('.bgjobs-progress progress').value === 50")
    assert page.evaluate("window.box.isConnected && window.state.isConnected")  # so that a change is announced
    site.change(2, status="failed", error_message="<img src=x onerror=alert(1)>")
    expect(box.locator("[data-words=error]")).to_have_text("<img src=x onerror=alert(1)>")
    expect(box.locator("progress")).to_be_hidden()
    before = asked(site)
    page.wait_for_timeout(2500)
    assert asked(site) == before, "it goes on asking after the end"


def test_with_the_htmx_of_the_host(site: LiveSite, page: Page) -> None:
    site.app.add_url_rule("/htmx.js", view_func=lambda: Response(HTMX.read_text(), mimetype="text/javascript"))
    address = host(site, head='<script src="/htmx.js"></script>')
    run(site, 1)
    page.goto(address)
    box = page.locator(".bgjobs-progress")
    expect(box).to_contain_text("1 of 10")
    run(site, 5)
    expect(box).to_contain_text("step 5")
    kinds = {headers.get("Hx-Request") for _, path, headers in site.requests if "/progress/" in path}
    assert kinds == {"true"}  # our script leaves it to htmx
    site.change(2, status="completed", result={"sent": 3})
    expect(box).to_contain_text('"sent": 3')
    expect(box.locator("[role=alert]")).to_have_text("Completed")
    before = asked(site)
    page.wait_for_timeout(2500)
    assert asked(site) == before


def test_it_comes_back_when_the_server_was_away(site: LiveSite, page: Page, errors: Any) -> None:
    errors.expected = True  # the console notes each request that fails
    address = host(site)
    run(site, 1)
    page.goto(address)
    box = page.locator(".bgjobs-progress")
    expect(box).to_contain_text("1 of 10")
    site.server.stop()
    page.wait_for_event("requestfailed")
    expect(box).to_contain_text("1 of 10")
    site.server.start()
    run(site, 7)
    expect(box).to_contain_text("7 of 10")


def test_without_javascript_its_own_page_refreshes_itself(
    site: LiveSite, open_context: Callable[..., BrowserContext]
) -> None:
    address = host(site)
    run(site, 1)
    page = open_context(java_script_enabled=False).new_page()
    page.goto(address)
    place = page.locator(".bgjobs-progress").get_attribute("data-bgjobs-progress")
    page.goto(f"{site.server.url}{place}")
    expect(page.locator(".bgjobs-progress")).to_contain_text("1 of 10")
    site.change(2, status="completed", result="all done")
    expect(page.locator(".bgjobs-progress")).to_contain_text("all done")
