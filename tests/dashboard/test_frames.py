"""Which frames of a traceback are the application's."""

from __future__ import annotations

import json
import time
import traceback
from pathlib import Path

import pytest
from pages import parsed
from sites import Site

import bgjobs
from bgjobs.dashboard.job.frames import frames_of, is_of_a_library


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/srv/shop/jobs.py", False),
        ("/srv/shop/.venv/lib/python3.12/site-packages/requests/api.py", True),
        ("/usr/lib/python3/dist-packages/flask/app.py", True),
        ("/usr/lib/python3.11/json/decoder.py", True),
        (r"C:\shop\venv\Lib\site-packages\x.py", True),
        ("<frozen importlib._bootstrap>", True),
        ("<string>", False),
        (json.__file__, True),
        (str(Path(bgjobs.__file__).parent / "store.py"), True),
        ("/srv/bgjobs/jobs.py", False),
        ("", False),
    ],
)
def test_whose_file_it_is(file: str, expected: bool) -> None:
    assert is_of_a_library(file) is expected


def frame(file: str, source: str = "    call()\n    ^^^^^^") -> str:
    return f'  File "{file}", line 7, in call\n{source}' if source else f'  File "{file}", line 7, in call'


OURS, THEIRS = "/srv/shop/jobs.py", "/usr/lib/python3.11/json/decoder.py"
HEAD = "Traceback (most recent call last):"


@pytest.mark.parametrize(
    ("text", "number", "expected"),
    [
        ("\n".join((HEAD, frame(OURS), frame(THEIRS), frame(THEIRS), "ValueError: x")), 3,
         "\n".join((HEAD, frame(OURS), "  … 2 frames of libraries", "ValueError: x"))),
        ("\n".join((HEAD, frame(THEIRS), frame(OURS), "ValueError: x")), 2,
         "\n".join((HEAD, "  … 1 frame of libraries", frame(OURS), "ValueError: x"))),
        ("\n".join((HEAD, frame(THEIRS), "E: a", "", HEAD, frame(OURS), "F: b")), 2,
         "\n".join((HEAD, "  … 1 frame of libraries", "E: a", "", HEAD, frame(OURS), "F: b"))),
        ("\n".join((HEAD, frame(THEIRS, ""), frame(OURS, ""), "E: a")), 2,
         "\n".join((HEAD, "  … 1 frame of libraries", frame(OURS, ""), "E: a"))),
        ("\n".join((HEAD, frame(THEIRS), "  [Previous line repeated 995 more times]", frame(OURS), "E")), 2,
         "\n".join((HEAD, "  … 1 frame of libraries", frame(OURS), "E"))),
        ("\n".join((HEAD, frame(OURS), "ValueError: x")), 1, None),
        ("\n".join((HEAD, frame(THEIRS), "ValueError: x")), 1, None),  # nothing would be left
        ("no traceback at all", 0, None),
        ("", 0, None),
        ('File "', 0, None),
    ],
)  # fmt: skip
def test_frames_of_the_application(text: str, number: int, expected: str | None) -> None:
    found = frames_of(text)
    assert (found.text, found.number, found.of_app) == (text, number, expected)


def test_a_real_group_of_exceptions() -> None:
    def parse() -> None:
        try:
            json.loads("{")
        except ValueError as error:
            raise ExceptionGroup("several", [error, KeyError("b")]) from error

    try:
        parse()
    except ExceptionGroup:
        text = traceback.format_exc()
    found = frames_of(text)
    assert found.of_app is not None
    assert "decoder.py" in found.text
    assert "decoder.py" not in found.of_app
    assert "raw_decode" not in found.of_app
    for words in ("in parse", "several (2 sub-exceptions)", "KeyError: 'b'", "JSONDecodeError", "+-+---"):
        assert words in found.of_app


@pytest.mark.parametrize(
    "text",
    [" " * 64_000, ' File "' * 10_000, '  File "a", line 1\n' * 4000, "|+ " * 20_000, "\n" * 64_000,
     '  File "' + "a" * 60_000],
)  # fmt: skip
def test_hostile_texts_are_read_quickly(text: str) -> None:
    started = time.monotonic()
    assert frames_of(text).text == text
    assert time.monotonic() - started < 2


def test_on_the_page_the_frames_of_the_application_come_first(site: Site) -> None:
    job_id = site.dispatch("run", {"password": "hunter22-canary"})
    attack = f"{HEAD}\n{frame(OURS)}\n{frame(THEIRS)}\n</pre><script>1</script> hunter22-canary"
    site.add_attempt(job_id, traceback=attack)
    page = parsed(site.get(f"/dashboard/jobs/{job_id}").text)
    shown = page.one("pre", id="app-frames-1").text
    assert OURS in shown
    assert THEIRS not in shown
    everything = page.one("details", id="all-frames-1")
    assert everything.one("summary").words == "All 2 frames"
    assert THEIRS in everything.one("pre", id="traceback-1").text
    assert "open" not in everything.attributes
    assert not page.one("main").all("script")
    assert "hunter22" not in page.text
