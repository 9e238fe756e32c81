"""The overview in a browser: it follows what happens, without moving anything, and on a phone it stands aside."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from live import LiveSite
from playwright.sync_api import BrowserContext, Page, expect
from steps import until

from bgjobs.metrics import Ended, count
from bgjobs.processes.identity import own_identity
from bgjobs.runner.outcome import Outcome

ATTACK = "</title></svg><script>window.attacked=1</script><img src=x onerror=window.attacked=1>"


def finish(site: LiveSite, job_id: int, kind: str = "completed") -> None:
    """Run a job to its end, as a supervisor writes it down."""
    with site.state.store.changing() as changes:
        (job,) = changes.claim([own_identity().columns()], backend="local", job_ids=[job_id])
    with site.state.store.changing() as changes:
        changes.finish([(job, Outcome(kind, exception_type="ValueError" if kind == "failed" else None))])  # type: ignore[arg-type]


def an_hour_of_work(site: LiveSite, class_name: str = "shop.Mail") -> None:
    now = datetime.now(UTC)
    with site.state.store.database.writing() as connection:
        for ago in range(2, 60):
            for kind, seconds in (("completed", 0.2), ("failed", 3.0), ("retried", 9.0), ("cancelled", 1.0)):
                count(connection, [Ended(class_name, "send", kind, 0.1, seconds)], now - timedelta(minutes=ago))


def look_aside(page: Page) -> None:
    """One look for news of the overview, now, and what comes of it."""
    done = page.evaluate("window.finished")
    page.evaluate("htmx.trigger(document.body, 'bgjobs:slow-tick')")
    until(page, "done => window.finished > done", done)


def test_the_strip_and_the_charts_follow_a_job(site: LiveSite, page: Page) -> None:
    page.goto(site.url)
    page.evaluate("window.here = true")
    throughput = page.locator(".stat", has_text="Throughput").locator(".stat-value")
    rate = page.locator(".stat", has_text="Failure rate").locator(".stat-value")
    expect(throughput).to_have_text("0/min")
    expect(rate).to_have_text("–")
    finish(site, 1, "failed")
    finish(site, site.dispatch("run"))
    look_aside(page)
    expect(throughput).to_have_text(re.compile(r"^0\.[34]/min$"))  # two jobs in five to six minutes
    expect(rate).to_have_text("50 %")
    expect(page.locator("#overview")).to_contain_text("ExampleJob::run")
    assert page.locator("#overview .chart-point title").first.text_content()
    assert page.evaluate("window.here")


def test_it_asks_by_itself(site: LiveSite, page: Page) -> None:
    page.goto(site.url)
    with page.expect_request("**/dashboard/_/overview"):
        pass


def test_news_move_nothing(site: LiveSite, page: Page) -> None:
    """But the rows of a list in which there is one more: inside a box that stays as it is."""
    page.goto(site.url)
    page.evaluate(
        """() => {
            window.shifts = [];
            const note = ({ node }) => {
                const element = node.closest ? node : node.parentElement;
                if (!element.parentElement.closest(".panel")) window.shifts.push(element.outerHTML.slice(0, 100));
            };
            new PerformanceObserver((list) => list.getEntries().forEach((it) => it.sources.forEach(note)))
                .observe({ type: "layout-shift", buffered: false });
        }"""
    )
    place = page.locator("#logs").bounding_box()
    an_hour_of_work(site)
    for number in range(4):
        job_id = site.dispatch("run")
        if number < 2:
            site.change(
                job_id, status="running", started_at=datetime.now(UTC), progress_done=number, progress_total=9
            )
        else:
            finish(site, job_id, "failed")
        look_aside(page)
    expect(page.locator("#overview .runner")).to_have_count(2)
    assert page.locator("#logs").bounding_box() == place
    page.wait_for_timeout(200)
    assert page.evaluate("window.shifts") == []


def test_an_open_table_stays_open_and_nothing_else_is_asked_for(site: LiveSite, page: Page) -> None:
    an_hour_of_work(site)
    page.goto(f"{site.url}?range=6h&q=success")
    table = page.locator("#ended-table")
    table.locator("summary").click()
    expect(table.locator("tbody tr").first).to_be_visible()
    finish(site, 1)
    look_aside(page)
    expect(page.locator(".stat", has_text="p95 run").locator(".stat-hint")).to_have_text("last 6 hours")
    expect(table.locator("tbody tr").first).to_be_visible()
    assert page.url.endswith("?range=6h&q=success")
    assert page.input_value("#q") == "success"


def test_a_range_and_a_search_go_together(site: LiveSite, page: Page) -> None:
    page.goto(site.url)
    page.get_by_role("link", name="last 24 hours").click()
    expect(page.locator("h2", has_text="Jobs ended per 15 minutes")).to_be_visible()
    page.locator("#q").press_sequentially("failure log")
    until(page, "location.search === '?range=24h&q=failure+log'")
    page.reload()
    expect(page.locator("h2", has_text="Jobs ended per 15 minutes")).to_be_visible()
    assert page.input_value("#q") == "failure log"


def test_drawings_have_colours_and_words(site: LiveSite, page: Page) -> None:
    an_hour_of_work(site)
    page.goto(site.url)
    expect(page.get_by_role("img", name="Jobs ended per minute")).to_be_visible()
    expect(page.get_by_role("img", name="How long they ran")).to_be_visible()
    colours = page.evaluate(
        """() => [...document.querySelectorAll("#overview pattern rect")].map(
            (it) => getComputedStyle(it).fill)"""
    )
    assert len(set(colours)) == 4
    heights = page.evaluate(
        "[...document.querySelectorAll('#overview path[fill]')].map(it => it.getBBox().height)"
    )
    assert len(heights) == 4
    assert min(heights) > 5
    dashes = page.evaluate(
        """() => [...document.querySelectorAll("#overview path[vector-effect].chart-line")].map(
            (it) => getComputedStyle(it).strokeDasharray)"""
    )
    assert len(set(dashes)) == 3


def test_on_a_phone_the_logs_come_right_after_the_strip(
    site: LiveSite, open_context: Callable[..., BrowserContext]
) -> None:
    an_hour_of_work(site)
    page = open_context(viewport={"width": 375, "height": 700}).new_page()
    page.goto(site.url)
    tops = page.evaluate(
        """() => [".stats", "#logs", ".charts", ".panels"].map(
            (it) => document.querySelector(it).getBoundingClientRect().top)"""
    )
    assert tops == sorted(tops)
    assert tops[1] < 700


def test_hostile_names_in_charts_and_lists_are_text(site: LiveSite, page: Page) -> None:
    an_hour_of_work(site, ATTACK)
    site.change(1, class_name=ATTACK, method_name=ATTACK, status="failed", error_message=f"{ATTACK}: x")
    site.change(2, class_name=ATTACK, method_name=ATTACK, status="running", started_at=datetime.now(UTC))
    page.goto(site.url)
    look_aside(page)
    finish(site, site.dispatch("run"))
    look_aside(page)
    expect(page.locator(".slow")).to_contain_text("attacked=1>::send")
    assert page.evaluate("window.attacked") is None
    assert page.locator("main script, main img").count() == 0


def test_the_logs_have_a_page_of_their_own(site: LiveSite, page: Page) -> None:
    page.goto(site.url)
    page.get_by_role("navigation", name="Sections").get_by_role("link", name="Logs").click()
    expect(page.locator("h1")).to_have_text("Logs")
    page.locator("#q").press_sequentially("failure log 3")
    expect(page.locator("#logs tbody tr")).to_have_count(1)
    assert page.url.endswith("/dashboard/logs?q=failure+log+3")


def test_times_in_charts_follow_the_zone(site: LiveSite, open_context: Callable[..., BrowserContext]) -> None:
    now = datetime.now(UTC)
    with site.state.store.database.writing() as connection:
        count(connection, [Ended("shop.Mail", "send", "completed", 0.1, 1.0)], now - timedelta(minutes=9))
    page = open_context(timezone_id="Asia/Kolkata").new_page()  # half an hour beside the others
    page.goto(f"{site.url}?range=7d")
    point = page.locator("#ended-table tbody th, .chart-point title").first
    ticks = page.locator("#overview [data-midnight]:not([hidden])")
    start = (now - timedelta(minutes=9)).replace(minute=0)
    start -= timedelta(hours=start.hour % 2)

    def words(moment: datetime) -> str:
        return f"{moment.day} {moment:%b}, {moment:%H:%M}"

    for _ in range(2):
        local = start.astimezone(timezone(timedelta(hours=5, minutes=30)))
        expect(point).to_contain_text(words(local))
        expect(page.locator("#ended-table thead th").first).to_have_text("Time (GMT+5:30)")
        at = [
            float(str(x).rstrip("%")) for x in ticks.evaluate_all("list => list.map(it => it.getAttribute('x'))")
        ]
        of_server = [float(str(it)) for it in ticks.evaluate_all("list => list.map(it => it.dataset.midnight)")]
        assert [round(b - a, 2) for a, b in zip(at, of_server, strict=True)] == [3.27] * len(at) != []
        choose_zone(page, "UTC")
        expect(point).to_contain_text(words(start))
        expect(page.locator("#ended-table thead th").first).to_have_text("Time (UTC)")
        choose_zone(page, "Local")
    # News come in UTC, and are said in the zone before they are seen.
    site.add_logs(1, ["news"])
    look_aside(page)
    expect(point).to_contain_text(words(local))


def choose_zone(page: Page, name: str) -> None:
    page.keyboard.press("?")
    page.get_by_label("Times", exact=True).select_option(name)
    page.keyboard.press("Escape")


def test_a_group_of_failures_is_retried_in_two_steps(site: LiveSite, page: Page) -> None:
    for _ in range(2):
        finish(site, site.dispatch(max_retries=0), "failed")
    page.goto(site.url)
    group = page.locator("section[aria-labelledby=troubles-title] li").first
    button = group.get_by_role("button", name="Retry 2 jobs that failed: ExampleJob::run, ValueError")
    places = [it.bounding_box() for it in (button, group.get_by_role("link", name="View"))]
    assert all(places)
    assert len({round(place["y"]) for place in places if place}) == 1  # in one line
    button.click()
    expect(page.locator("#confirm")).to_contain_text("Retry 2 jobs? They become pending again")
    page.get_by_role("button", name="Leave it").click()
    expect(page.locator("#confirm")).to_be_hidden()
    button.click()
    page.get_by_role("button", name="Retry 2 jobs", exact=True).click()
    expect(page.locator("h1")).to_contain_text("BulkAction::run")
