"""The output of a job in a browser: it grows by what is new, and leaves its reader alone. Texts are copied."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from live import Errors, LiveSite
from playwright.sync_api import BrowserContext, Page, Response, expect
from steps import is_focused, look, until

AT_ITS_END = "it => it.scrollHeight - it.scrollTop - it.clientHeight < 8"
TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/jobs.py", line 7, in run
    json.loads("{")
  File "/usr/lib/python3.11/json/decoder.py", line 9, in decode
    raise JSONDecodeError
ValueError: no JSON"""


@pytest.fixture
def output(site: LiveSite) -> Path:
    """The file of the output of job 2, which looks as if it ran."""
    site.change(2, status="running", started_at=datetime.now(UTC), attempt=1)
    site.add_attempt(2, ended_at=None, outcome=None)
    return Path(site.state.folder.output_file(2, 1))


def append(file: Path, text: str) -> None:
    with file.open("a") as opened:
        opened.write(text)


def asked(site: LiveSite) -> list[str]:
    return [path for _, path, _ in site.requests if "/output?" in path]


def until_asked(site: LiveSite, page: Page, number: int) -> None:
    """Wait for so many more requests for news of the output."""
    before = len(asked(site))
    while len(asked(site)) < before + number:
        page.wait_for_timeout(20)


def test_it_grows_by_what_is_new_alone(site: LiveSite, output: Path, page: Page) -> None:
    bodies: list[Response] = []
    page.on("response", lambda answer: bodies.append(answer) if "/output?" in answer.url else None)
    output.write_text("".join(f"line {n}\n" for n in range(60)))
    page.goto(f"{site.url}/jobs/2")
    shown = page.locator("#output-1")
    shown.evaluate("it => { window.node = it; window.text = it.firstChild; }")
    for text in ("and on\n", "half a", " line\n", "caf\u00e9\n"):
        append(output, text)
        expect(shown).to_contain_text(text.strip())
    site.change(2, progress_done=1, progress_total=4, updated_at=datetime.now(UTC))  # the page itself has news
    look(page)
    expect(page.locator("progress")).to_be_visible()
    assert shown.evaluate("it => it === window.node && it.firstChild === window.text")
    assert shown.text_content() == output.read_text()
    sent = "".join(answer.text() for answer in bodies if answer.status == 200)
    assert sent.replace("half ahalf a", "half a") == "and on\nhalf a line\ncaf\u00e9\n"
    until_asked(site, page, 2)
    assert bodies[-1].status == 204


def test_its_end_is_followed_until_the_reader_scrolls_up(site: LiveSite, output: Path, page: Page) -> None:
    output.write_text("".join(f"line {n}\n" for n in range(60)))
    page.goto(f"{site.url}/jobs/2")
    shown, follow = page.locator("#output-1"), page.get_by_label("Follow")
    assert shown.evaluate(AT_ITS_END)
    append(output, "and on\n" * 20)
    expect(shown).to_contain_text("and on")
    assert shown.evaluate(AT_ITS_END)

    shown.evaluate("it => { it.scrollTop = 50; }")
    expect(follow).not_to_be_checked()
    append(output, "and further\n")
    expect(shown).to_contain_text("and further")
    assert shown.evaluate("it => it.scrollTop") == 50

    follow.check()
    append(output, "to the end\n")
    expect(shown).to_contain_text("to the end")
    until(page, f"() => ({AT_ITS_END})(document.querySelector('#output-1'))")
    look(page)
    expect(follow).to_be_checked()


def test_a_selection_stays(site: LiveSite, output: Path, page: Page) -> None:
    output.write_text("one two\n")
    page.goto(f"{site.url}/jobs/2")
    page.evaluate("getSelection().setBaseAndExtent(document.querySelector('#output-1').firstChild, 4, "
                  "document.querySelector('#output-1').firstChild, 7)")  # fmt: skip
    append(output, "three\n")
    expect(page.locator("#output-1")).to_have_text("one two\nthree\n")
    assert page.evaluate("getSelection().toString()") == "two"


def test_a_page_with_a_selection_is_not_asked_for(site: LiveSite, output: Path, page: Page) -> None:
    page.clock.install()
    output.write_text("one\n")
    page.goto(f"{site.url}/jobs/2")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#output-1'))")
    page.clock.run_for(10_000)
    assert {path for _, path, _ in site.requests if "/static/" not in path} - set(asked(site)) == {
        "/dashboard/jobs/2"
    }
    page.evaluate("getSelection().removeAllRanges()")
    page.clock.run_for(3000)
    until(page, "window.finished > 0")


def test_a_trimmed_output_begins_anew(site: LiveSite, output: Path, page: Page) -> None:
    output.write_text("one\n" * 100)
    page.goto(f"{site.url}/jobs/2")
    output.write_text("[older output was left out]\ntrimmed\n")
    expect(page.locator("#output-1")).to_have_text("[older output was left out]\ntrimmed\n")


def test_a_long_output_comes_piece_by_piece(site: LiveSite, output: Path, page: Page) -> None:
    page.goto(f"{site.url}/jobs/2")
    shown = page.locator("#output-1")
    assert shown.evaluate("it => getComputedStyle(it, '::before').content") == '"Nothing printed so far."'
    output.write_text("".join(f"line {n:06}\n" for n in range(20_000)))
    until(page, "document.querySelector('#output-1').textContent.endsWith('line 019999\\n')")
    assert shown.text_content() == output.read_text()


def test_what_an_attempt_printed_that_began_meanwhile(site: LiveSite, page: Page) -> None:
    """A look at the page brings the attempt, and the script what it printed, until that is all."""
    page.goto(f"{site.url}/jobs/2")
    site.change(2, status="completed", attempt=1, updated_at=datetime.now(UTC))
    site.add_attempt(2, outcome="completed")
    Path(site.state.folder.output_file(2, 1)).write_text("in five milliseconds\n")
    look(page)
    expect(page.locator("#output-1")).to_have_text("in five milliseconds\n")
    expect(page.locator("#printed-1")).to_have_attribute("data-done", "")
    expect(page.get_by_label("Follow")).to_be_hidden()


def test_nobody_asks_while_nobody_looks(site: LiveSite, output: Path, page: Page) -> None:
    page.clock.install()
    output.write_text("one\n")
    page.goto(f"{site.url}/jobs/2")
    updates, summary = page.get_by_label("Updates"), page.locator("#attempt-1 summary")

    def assert_nobody_asks() -> None:
        page.wait_for_timeout(200)  # what is under way may come
        before = len(asked(site))
        page.clock.run_for(10_000)
        page.wait_for_timeout(200)
        assert len(asked(site)) == before

    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    assert_nobody_asks()
    page.evaluate("delete document.hidden")
    summary.click()
    assert_nobody_asks()
    summary.click()
    updates.select_option("Paused")
    assert_nobody_asks()
    updates.select_option("2 s")
    append(output, "two\n")
    page.clock.run_for(1000)
    expect(page.locator("#output-1")).to_have_text("one\ntwo\n")


def test_a_server_that_is_gone_is_not_asked_each_second(
    site: LiveSite, output: Path, page: Page, errors: Errors
) -> None:
    errors.expected = True
    page.clock.install()
    output.write_text("one\n")
    page.goto(f"{site.url}/jobs/2")
    page.evaluate(
        """() => {
            window.tried = 0;
            const before = fetch;
            window.fetch = (...all) => {
                if (String(all[0]).includes("/output")) window.tried += 1;
                return before(...all);
            };
        }"""
    )
    site.server.stop()
    for _ in range(15):
        page.clock.run_for(1000)
    assert 1 <= page.evaluate("window.tried") <= 2
    site.server.start()
    append(output, "back\n")
    for _ in range(15):
        page.clock.run_for(1000)
    expect(page.locator("#output-1")).to_have_text("one\nback\n")


def test_long_lines_are_wrapped_or_not(site: LiveSite, output: Path, page: Page) -> None:
    output.write_text("word " * 500)
    page.goto(f"{site.url}/jobs/2")
    is_wide = "it => it.scrollWidth > it.clientWidth"
    assert not page.locator("#output-1").evaluate(is_wide)
    page.get_by_label("Wrap").uncheck()
    assert page.locator("#output-1").evaluate(is_wide)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("clipboard", [True, False], ids=["clipboard", "plain HTTP"])
def test_copy(site: LiveSite, open_context: Callable[..., BrowserContext], clipboard: bool) -> None:
    site.change(1, status="failed")
    site.add_attempt(1, traceback=TRACEBACK)
    context = open_context()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    if not clipboard:
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto(f"{site.url}/jobs/1")
    reader = context.new_page()
    reader.goto(site.url)
    page.bring_to_front()
    for selector, text in (("traceback-1", TRACEBACK), ("command", "flask bgjobs retry 1")):
        button = page.locator(f"[data-copy={selector}]")
        button.click()
        expect(button).to_have_text("Copied")
        expect(page.locator("#announcer")).to_have_text("Copied")
        assert is_focused(page, f"[data-copy={selector}]")
        reader.bring_to_front()
        assert reader.evaluate("navigator.clipboard.readText()") == text
        page.bring_to_front()
    assert page.locator("textarea").count() == 0


def test_without_javascript(site: LiveSite, output: Path, open_context: Callable[..., BrowserContext]) -> None:
    output.write_text("printed\n")
    site.execute("UPDATE job_attempts SET traceback = :text", text=TRACEBACK)
    page = open_context(java_script_enabled=False).new_page()
    page.goto(f"{site.url}/jobs/2")
    expect(page.locator("#output-1")).to_have_text("printed\n")
    expect(page.locator("#app-frames-1")).to_contain_text("1 frame of libraries")
    page.locator("#all-frames-1 summary").click()
    expect(page.locator("#traceback-1")).to_contain_text("decoder.py")
    for hidden in ("[data-copy]", ".follows"):
        assert not any(it.is_visible() for it in page.locator(hidden).all())
    page.get_by_label("Wrap").uncheck()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "job-2-attempt-1.txt"
