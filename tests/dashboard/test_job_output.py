"""The output of an attempt by pieces: what is new of it, all of it, and never half of a secret."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from pages import parsed
from sites import Site
from werkzeug.test import TestResponse

from bgjobs.dashboard.job import transcript
from bgjobs.dashboard.job.transcript import PIECE, SHOWN, TOO_LONG, Source, stretch, tail, whole
from bgjobs.printed import PrintedFile
from bgjobs.redaction import MASK, Redactor

SECRET = "hunter22-canary"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "1-1.log"


def source(file: Path, *secrets: str) -> Source:
    return Source(PrintedFile(str(file)), Redactor(), set(secrets))


@pytest.mark.parametrize(
    ("data", "place", "text", "following", "end"),
    [
        (b"", 0, "", 0, 0),
        (b"one\n", 0, "one\n", 4, 4),
        (b"one\ntw", 0, "one\ntw", 4, 6),
        (b"one\ntw", 4, "tw", 4, 6),
        (b"one\ntwo\n", 4, "two\n", 8, 8),
        (b"one\ntwo\n", 8, "", 8, 8),
        (b"one\ntwo\n", 5, "", 8, 8),  # within a line of which the beginning is not known
        (b"one\ntwo\nthree", 5, "three", 8, 13),
        (b"10%\r50%", 0, "50%", 4, 7),  # a progress bar goes on from its last state
        (b"10%\r50%\r100%\n", 4, "100%\n", 13, 13),
        (b"one\r\ntwo\r", 0, "one\ntwo", 5, 9),
        (b"\x1b[31mred\x1b[0m\x07\n", 0, "red\\x07\n", 14, 14),
        (b"caf\xc3\xa9\n\xff\n", 0, "café\n\\xff\n", 8, 8),
    ],
)
def test_a_stretch(file: Path, data: bytes, place: int, text: str, following: int, end: int) -> None:
    file.write_bytes(data)
    found = stretch(source(file), place)
    assert (found.text, found.start, found.following, found.end, found.more) == (
        text,
        place,
        following,
        end,
        False,
    )


@pytest.mark.parametrize(
    ("data", "most", "text", "following"),
    [
        (b"one\ntwo\nthree\n", 9, "one\ntwo\n", 8),
        (b"one\ntwo\nthree\n", 4, "one\n", 4),
        (b"a line that is long\n", 9, f"{TOO_LONG}\n", 9),
        (b"10%\r20%\r30%\r", 9, "", 8),  # only the last state would be shown, and that is yet to come
    ],
)
def test_a_stretch_that_is_full_ends_with_a_line(
    file: Path, data: bytes, most: int, text: str, following: int
) -> None:
    file.write_bytes(data)
    found = stretch(source(file), 0, most=most)
    assert (found.text, found.following, found.end, found.more) == (text, following, following, True)


def read_on(file: Path, most: int, *secrets: str) -> str:
    """What a page shows that follows the output to its end."""
    shown, place, more = "", 0, True
    while more:
        found = stretch(source(file, *secrets), place, most=most)
        shown = shown[: shown.rfind("\n") + 1] + found.text
        assert found.following > place or not found.more, "it must come on"
        place, more = found.following, found.more
    return shown


@pytest.mark.parametrize("most", range(1, 40))
def test_no_piece_shows_a_part_of_a_secret(file: Path, most: int) -> None:
    file.write_bytes(f"start\nthe key is {SECRET}, keep it\n{SECRET}\nend".encode())
    shown = read_on(file, most, SECRET)
    assert not any(SECRET[start : start + 4] in shown for start in range(len(SECRET) - 3))
    assert shown.endswith("end") or most < 4


def test_pieces_together_are_the_whole(file: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(3000))
    file.write_text(text)
    assert read_on(file, 1000) == text == "".join(whole(source(file)))


@pytest.mark.parametrize("shown", range(1, len(SECRET)))
def test_the_beginning_of_a_secret_waits_for_its_end(file: Path, shown: int) -> None:
    """A job may be stopped in the middle of a print."""
    file.write_text(f"start\nkey {SECRET[:shown]}")
    found = stretch(source(file, SECRET), 0, goes_on=True)
    assert (found.text, found.following, found.end) == ("start\nkey ", 6, 10)
    file.write_text(f"start\nkey {SECRET}")
    assert stretch(source(file, SECRET), 6, goes_on=True).text == f"key {MASK}"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"at postgresql://ada:hun", "at postgresql"),
        (b"at postgresql://ada:hunter@db is", f"at postgresql://{MASK}@db is"),
        (b"caf\xc3", "caf"),
        (b"plain words", "plain words"),
    ],
)
def test_what_may_become_something_else_is_held_back(file: Path, data: bytes, text: str) -> None:
    file.write_bytes(data)
    assert stretch(source(file), 0, goes_on=True).text == text


def test_a_secret_with_many_beginnings_is_looked_for_quickly(file: Path) -> None:
    file.write_bytes(b"a" * 60_000)
    started = time.monotonic()
    stretch(source(file, "a" * 50_000 + "b"), 0, goes_on=True)
    assert time.monotonic() - started < 2


def test_the_end_of_one_endless_line(file: Path) -> None:
    file.write_bytes(b"x" * (SHOWN * 2))
    found = tail(source(file))
    assert found is not None
    assert found.text == f"{TOO_LONG}\n"
    assert tail(source(file.with_name("none"))) is None


def test_a_line_too_long_for_a_download(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "_AT_ONCE", 1000)
    file.write_text("one\n" + "x" * 5000 + SECRET + "\nlast\n")
    assert "".join(whole(source(file, SECRET))) == f"one\n{TOO_LONG}\nlast\n"


# -- by HTTP -----------------------------------------------------------------------------------------


def output_of(site: Site, job_id: int) -> Path:
    return Path(site.state.folder.output_file(job_id, 1))


def running_job(site: Site, parameters: Any = None) -> int:
    job_id = site.dispatch("run", parameters)
    site.change(job_id, status="running")
    site.add_attempt(job_id, ended_at=None, outcome=None)
    return job_id


def news(site: Site, job_id: int, offset: object, seen: object = 0) -> TestResponse:
    return site.get(f"/dashboard/jobs/{job_id}/attempts/1/output?offset={offset}&seen={seen}")


def places(response: TestResponse) -> tuple[int, ...]:
    return tuple(map(int, response.headers["Output-Places"].split("-")))


def test_a_reader_gets_what_is_new_and_nothing_twice(site: Site) -> None:
    job_id = running_job(site)
    path = output_of(site, job_id)
    path.write_text("one\ntw")
    first = news(site, job_id, 0)
    assert (first.text, places(first), first.headers["Output-More"]) == ("one\ntw", (0, 4, 6), "later")
    assert first.content_type == "text/plain; charset=utf-8"
    assert first.headers["Cache-Control"] == "private, no-cache"
    nothing = news(site, job_id, 4, 6)
    assert (nothing.status_code, nothing.text, nothing.headers["Output-More"]) == (204, "", "later")
    path.write_text("one\ntwo\nthree\n")
    assert news(site, job_id, 4, 6).text == "two\nthree\n"
    site.execute("UPDATE job_attempts SET ended_at = '2026-11-24 12:00:00', outcome = 'completed'")
    last = news(site, job_id, 14, 14)
    assert (last.status_code, "Output-More" in last.headers) == (204, False)


def test_no_answer_is_longer_than_a_piece(site: Site) -> None:
    job_id = running_job(site)
    output_of(site, job_id).write_bytes(b"a line of twenty-four b\n" * 10_000)
    response = news(site, job_id, 0)
    assert PIECE - 24 < len(response.data) <= PIECE
    assert response.headers["Output-More"] == "now"
    assert news(site, job_id, places(response)[1]).text.startswith("a line")


def test_an_output_that_was_trimmed_is_shown_from_its_end(site: Site) -> None:
    job_id = running_job(site)
    output_of(site, job_id).write_text("[older output was left out]\nnew\n")
    for offset, seen in ((5000, 5004), (10, 5004)):
        response = news(site, job_id, offset, seen)
        assert response.text == "[older output was left out]\nnew\n"
        assert places(response) == (0, 32, 32)


@pytest.mark.parametrize("number", ["-1", "1e3", "x", "", "9" * 30, "%00", "٣"])
def test_places_that_make_no_sense(site: Site, number: str) -> None:
    job_id = running_job(site)
    output_of(site, job_id).write_text("one\n")
    assert news(site, job_id, number).text == "one\n"
    assert news(site, job_id, 0, number).text == "one\n"


def test_a_secret_in_a_piece(site: Site) -> None:
    job_id = running_job(site, {"password": SECRET})
    output_of(site, job_id).write_text(f"it is {SECRET}\n{SECRET[:9]}")
    response = news(site, job_id, 0)
    assert response.text == f"it is {MASK}\n"
    assert news(site, job_id, 10).text == ""  # within the line


def test_download(site: Site) -> None:
    job_id = running_job(site)
    output_of(site, job_id).write_text("<b>one</b>\n")
    response = site.get(f"/dashboard/jobs/{job_id}/attempts/1/output?download")
    assert response.text == "<b>one</b>\n"
    assert response.headers["Content-Disposition"] == f"attachment; filename=job-{job_id}-attempt-1.txt"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_huge_output_makes_no_heavy_page(site: Site) -> None:
    job_id = running_job(site)
    output_of(site, job_id).write_bytes(b"<script>\x1b[31m\r" * 700_000 + b"\n" + b"y" * 10_000_000)
    started = time.monotonic()
    page = site.get(f"/dashboard/jobs/{job_id}").text
    assert len(page) < 200_000
    assert parsed(page).one("pre", id="output-1").text == f"{TOO_LONG}\n"
    assert len(news(site, job_id, 0).data) <= PIECE
    assert time.monotonic() - started < 5
    assert site.get(f"/dashboard/jobs/{job_id}/attempts/1/output").status_code == 200
