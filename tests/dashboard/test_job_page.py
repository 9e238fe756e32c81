"""The page of one job: what it tells, what its buttons do, and what it keeps to itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pages import Element, parsed
from sites import PARTIAL, Site

from bgjobs.dashboard.job.transcript import SHOWN

CANARY = "hunter22-canary"


def page_of(site: Site, job_id: int) -> Element:
    return parsed(site.get(f"/dashboard/jobs/{job_id}").text).one("main")


def facts(page: Element) -> dict[str, str]:
    rows = page.one("dl", class_="facts").all("div")
    return {row.one("dt").words: row.one("dd").words for row in rows}


def buttons(page: Element) -> list[str]:
    """Those that act."""
    return [button.words for form in page.all("form") for button in form.all("button")]


def print_output(site: Site, job_id: int, attempt: int, text: str | bytes) -> Path:
    path = Path(site.state.folder.output_file(job_id, attempt))
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_tells_of_a_job_that_succeeded(make_site: Callable[..., Site]) -> None:
    site = make_site(BGJOBS_BACKEND="inline")
    job_id = site.dispatch("run", {"to": "ada"})
    page = page_of(site, job_id)
    assert page.one("h1").words == f"#{job_id} ExampleJob::run"
    assert "bgjobs.example_job.ExampleJob::run" in page.words
    assert page.one("p", class_="job-state").words == "Completed"
    assert '"to": "ada"' in page.text
    assert facts(page)["Retries"] == "0 of 3"
    assert {"Created", "Started", "Ended", "Took", "Queue", "Priority"} < facts(page).keys()
    attempt = page.one("details", id="attempt-1")
    assert "Completed" in attempt.words
    assert "open" in attempt.attributes
    assert "Background job completed processing" in page.words
    assert buttons(page) == ["Delete…"]


def test_tells_of_a_job_that_failed(make_site: Callable[..., Site]) -> None:
    site = make_site(BGJOBS_BACKEND="inline")
    job_id = site.dispatch("fail", {"message": "no such user"}, max_retries=1, retry_delay=0)
    page = page_of(site, job_id)
    assert page.one("p", class_="job-state").words == "Failed"
    newest, first = page.all("details", class_="attempt")
    assert (newest.attributes["id"], first.attributes["id"]) == ("attempt-2", "attempt-1")
    assert "ValueError: no such user" in newest.words
    assert "raise ValueError(message)" in newest.one("pre", id="traceback-2").text
    assert buttons(page) == ["Retry", "Delete…"]


def test_tells_how_a_process_ended(site: Site) -> None:
    job_id = site.dispatch()
    site.change(job_id, status="failed")
    site.add_attempt(job_id, outcome="lost", exit_status=-9, peak_rss=200 * 2**20, cpu_seconds=1.5, pid=4711)
    attempt = page_of(site, job_id).one("details", id="attempt-1")
    assert "Killed by signal 9 (SIGKILL) – often out of memory." in attempt.words
    assert "pid 4711 · 200.0 MiB peak · 1.5 s CPU" in attempt.words


def test_tells_how_far_a_running_job_is(site: Site) -> None:
    job_id = site.dispatch("slow")
    site.change(
        job_id,
        status="running",
        started_at=datetime.now(UTC),
        progress_done=3,
        progress_total=12,
        progress_message="step 3",
    )
    page = page_of(site, job_id)
    progress = page.one("progress")
    assert (progress.attributes["value"], progress.attributes["max"]) == ("25", "100")
    assert "step 3" in page.words
    assert "3 of 12 · 25 %" in page.words
    assert buttons(page) == ["Cancel"]
    assert "SIGKILL if it still runs after 10 s" in (page.one("form").attributes["hx-confirm"] or "")


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"status": "pending"}, "Pending"),
        ({"scheduled_at": datetime.now(UTC) + timedelta(hours=2)}, "Scheduled"),
        ({"retry_count": 1}, "Retrying"),
        ({"status": "running"}, "Running"),
        ({"status": "completed"}, "Completed"),
        ({"status": "failed"}, "Failed"),
        ({"status": "cancelled"}, "Cancelled"),
    ],
)
def test_state_in_a_word(site: Site, values: dict[str, object], word: str) -> None:
    job_id = site.dispatch()
    site.change(job_id, **values)
    assert page_of(site, job_id).one("p", class_="job-state").words == word


# -- output ------------------------------------------------------------------------------------------


def test_shows_what_each_attempt_printed(site: Site) -> None:
    job_id = site.dispatch()
    for attempt in (1, 2):
        site.add_attempt(job_id, attempt)
        print_output(site, job_id, attempt, f"printed by {attempt}\n")
    page = page_of(site, job_id)
    assert [page.one("pre", id=f"output-{n}").text for n in (1, 2)] == ["printed by 1\n", "printed by 2\n"]


def test_output_is_no_news_for_the_page_and_is_never_sent_again(site: Site) -> None:
    """``job.js`` asks for what is new of it."""
    job_id, client = site.dispatch(), site.client()
    site.change(job_id, status="running")
    site.add_attempt(job_id, ended_at=None, outcome=None)
    path = print_output(site, job_id, 1, "one\n")
    address = f"/dashboard/jobs/{job_id}"
    client.get(address)
    tag = client.get(address, headers=PARTIAL).headers["HX-PTag"]
    with path.open("a") as file:
        file.write("two\n")
    assert client.get(address, headers={**PARTIAL, "HX-PTag": tag}).status_code == 304
    box = parsed(client.get(address, headers=PARTIAL).text).one("div", id="printed-1")
    assert box.one("pre").text == ""
    assert "data-done" not in box.attributes
    assert page_of(site, job_id).one("pre", id="output-1").text == "one\ntwo\n"


def test_long_output_is_shown_from_its_end_and_whole_on_a_page_of_its_own(site: Site) -> None:
    job_id = site.dispatch()
    site.add_attempt(job_id)
    print_output(site, job_id, 1, "".join(f"line {n}\n" for n in range(20_000)))
    shown = page_of(site, job_id).one("pre", id="output-1").text
    assert shown.endswith("line 19999\n")
    assert shown.startswith("line ")
    assert SHOWN - 20 < len(shown) <= SHOWN
    whole = site.get(f"/dashboard/jobs/{job_id}/attempts/1/output")
    assert whole.content_type == "text/plain; charset=utf-8"
    assert whole.text.count("\n") == 20_000


def test_output_is_made_fit_to_be_shown(site: Site) -> None:
    job_id = site.dispatch()
    site.add_attempt(job_id)
    print_output(
        site, job_id, 1, b"\x1b[31mred\x1b[0m \x1b]0;title\x07\r\n 10%\r 50%\r100%\n\xff\xfe \xe2\x80\xae<b>\tend"
    )
    shown = page_of(site, job_id).one("pre", id="output-1").text
    assert shown == "red \\x1b]0;title\\x07\n100%\n\\xff\\xfe \\u202e<b>\tend"


def test_never_reads_the_path_that_a_row_names(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("not for the dashboard")
    job_id = site.dispatch()
    site.add_attempt(job_id, output_path=str(secret))
    page = site.get(f"/dashboard/jobs/{job_id}").text
    assert "not for the dashboard" not in page
    assert "Nothing was printed" in page
    for number in ("../../secret.txt", "..%2f..%2fsecret.txt", str(secret)):
        assert "not for the dashboard" not in site.get(f"/dashboard/jobs/{job_id}/attempts/{number}/output").text


# -- secrets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"password": CANARY},
        {"user": {"API-Key": CANARY}},
        {"list": [{"deep": [{"Authorization": CANARY}]}]},
        {"private": [CANARY, {"x": CANARY}]},
        {"url": f"postgresql://ada:{CANARY}@db/shop"},
    ],
)
def test_a_secret_is_shown_nowhere(site: Site, parameters: dict[str, object]) -> None:
    job_id = site.dispatch("run", parameters)
    story = f"failed with postgresql://u:{CANARY}@db" if "url" in parameters else f"failed with {CANARY}"
    site.change(
        job_id,
        status="failed",
        error_message=story,
        progress_done=1,
        progress_message=story,
        result={"token": CANARY, "text": story},
    )
    site.add_attempt(job_id, exception_type="E", exception_message=story, traceback=f"at\n{story}")
    print_output(site, job_id, 1, f"printed {story}\n")
    addresses = ("/dashboard", f"/dashboard/jobs/{job_id}", f"/dashboard/jobs/{job_id}/attempts/1/output")
    for address in addresses:
        assert CANARY not in site.get(address).text
    assert "••••••" in site.get(addresses[1]).text


def test_a_secret_that_is_cut_in_two_is_not_shown(site: Site) -> None:
    """The end of a long output may begin within a secret, of which the rest could not be known for one."""
    job_id = site.dispatch("run", {"password": CANARY})
    site.add_attempt(job_id)
    for shift in range(len(CANARY) + 2):
        print_output(site, job_id, 1, f"start {CANARY}\n".encode() + b"x" * (SHOWN - shift))
        shown = page_of(site, job_id).one("pre", id="output-1").text
        assert not any(part in shown for part in (CANARY[-4:], CANARY[:4]))


# -- buttons -----------------------------------------------------------------------------------------


def press(site: Site, job_id: int, **headers: str) -> tuple[int, str]:
    """Press the first button on the page of a job."""
    client = site.client()
    form = parsed(client.get(f"/dashboard/jobs/{job_id}").text).one("main").all("form")[0]
    data = {str(field.attributes["name"]): field.attributes["value"] for field in form.all("input")}
    response = client.post(form.attributes["action"], data=data, headers=headers)
    return response.status_code, response.location or response.text


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_retry(site: Site, status: str) -> None:
    job_id = site.dispatch()
    site.change(job_id, status=status, retry_count=3, completed_at=datetime.now(UTC))
    assert press(site, job_id) == (303, f"/dashboard/jobs/{job_id}")
    row = site.row(job_id)
    assert (row.status, row.retry_count, row.completed_at) == ("pending", 0, None)
    assert site.messages(job_id)[-2:] == [
        ("info", "Background job put back to pending by hand"),
        ("info", "Retried on the dashboard"),
    ]


def test_retry_by_htmx_shows_the_new_state(site: Site) -> None:
    job_id = site.dispatch()
    site.change(job_id, status="failed")
    status, text = press(site, job_id, **PARTIAL)
    page = parsed(text)
    assert status == 200
    assert page.one("p", class_="job-state").words == "Pending"
    assert buttons(page) == ["Cancel", "Undo"]
    assert not page.all("main")


def test_a_retry_runs_with_the_inline_backend(make_site: Callable[..., Site]) -> None:
    site = make_site(BGJOBS_BACKEND="inline")
    job_id = site.dispatch("fail", max_retries=0)
    press(site, job_id)
    assert site.row(job_id).attempt == 2


def test_cancel_a_pending_job(site: Site) -> None:
    job_id = site.dispatch()
    assert press(site, job_id)[0] == 303
    assert site.row(job_id).status == "cancelled"


def test_cancel_a_running_job_asks_it_to_stop(site: Site) -> None:
    job_id = site.dispatch()
    site.change(job_id, status="running", started_at=datetime.now(UTC))
    status, text = press(site, job_id, **PARTIAL)
    assert status == 200
    assert "asked to stop" in parsed(text).words
    assert not parsed(text).all("form")
    assert site.row(job_id).cancel_requested_at is not None
