"""Values in, words out."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from bgjobs.dashboard import formats
from bgjobs.models import Unreadable
from bgjobs.redaction import Redactor

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"), (4.9, "just now"), (-4.9, "just now"), (5, "5 seconds ago"), (9, "5 seconds ago"),
        (59, "55 seconds ago"), (60, "1 minute ago"), (119, "1 minute ago"), (120, "2 minutes ago"),
        (3599, "59 minutes ago"), (3600, "1 hour ago"), (86399, "23 hours ago"), (86400, "1 day ago"),
        (86400 * 1500, "1,500 days ago"), (-7, "in 5 seconds"), (-61, "in 1 minute"), (-7200, "in 2 hours"),
    ],
)  # fmt: skip
def test_relative(seconds: float, words: str) -> None:
    assert formats.relative(seconds) == words


def test_moment() -> None:
    rome = timezone(timedelta(hours=1))
    moment = formats.moment(datetime(2026, 11, 22, 9, 5, 3, tzinfo=rome), NOW)
    assert moment == formats.Moment("3 hours ago", "22 Nov 2026, 08:05:03 UTC", "2026-11-22T08:05:03Z")
    assert formats.moment(None, NOW) is None
    assert formats.moment("soon", NOW) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"), (0.84, "840 ms"), (0.9996, "1.0 s"), (3.44, "3.4 s"), (9.96, "10 s"), (59.4, "59 s"),
        (59.6, "1 m 00 s"), (125, "2 m 05 s"), (3599.6, "1 h 00 m"), (4320, "1 h 12 m"), (-1, "0 ms"),
        (None, "–"), ("x", "–"),
    ],
)  # fmt: skip
def test_duration(seconds: object, words: str) -> None:
    assert formats.duration(seconds) == words


@pytest.mark.parametrize("value", [math.inf, math.nan, -math.inf])
def test_numbers_that_are_none(value: float) -> None:
    assert formats.duration(value) == "–"


@pytest.mark.parametrize(
    ("text", "term", "expected"),
    [
        ("abc", "", [("abc", False)]),
        ("abc", "b", [("a", False), ("b", True), ("c", False)]),
        ("ABAB", "ab", [("AB", True), ("AB", True)]),
        ("Straße", "SS", [("Stra", False), ("ß", True), ("e", False)]),
        ("ﬁn", "f", [("ﬁ", True), ("n", False)]),
        ("aaa", "aa", [("aa", True), ("a", False)]),
        ("abc", "z", [("abc", False)]),
        ("", "z", []),
    ],
)
def test_parts(text: str, term: str, expected: list[tuple[str, bool]]) -> None:
    assert formats.parts(text, term) == expected
    assert "".join(part.text for part in formats.parts(text, term)) == text


def test_excerpt() -> None:
    assert formats.excerpt("short", "x") == "short"
    long = "a" * 500 + "needle" + "b" * 500
    assert formats.excerpt(long, "NEEDLE").count("needle") == 1
    assert formats.excerpt(long, "NEEDLE").startswith("…a")
    assert formats.excerpt(long, "") == "a" * 280 + "…"
    assert formats.excerpt(long, "zebra") == "a" * 280 + "…"


def test_pretty() -> None:
    redactor = Redactor()
    assert formats.pretty({"a": [1, "é"], "token": "x"}, redactor, 1000) == (
        '{\n  "a": [\n    1,\n    "é"\n  ],\n  "token": "••••••"\n}'
    )
    for nothing in (None, {}, []):
        assert formats.pretty(nothing, redactor, 1000) is None
    assert formats.pretty(0, redactor, 1000) == "0"
    assert "not JSON (9 characters)" in str(formats.pretty(Unreadable("{password"), redactor, 1000))
    assert "more characters" in str(formats.pretty("x" * 5000, redactor, 100))


@pytest.mark.parametrize("status", ["exploded", None, 7, b"\xff", ["x"], {}])
def test_badges_of_anything(status: object) -> None:
    for badge in (
        formats.log_badge(status),
        formats.job_badge(status, now=NOW),
        formats.outcome_badge(status),
    ):
        assert badge.word
        assert badge.classes
