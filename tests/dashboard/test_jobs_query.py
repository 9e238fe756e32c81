"""What an address of the list of jobs asks for: tables, values in, query out."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from bgjobs.by_hand import Tally
from bgjobs.dashboard.jobs.query import JobQuery
from bgjobs.dashboard.jobs.selection import question, result_of, result_words
from bgjobs.dashboard.jobs.table import Span, attempt, wait
from bgjobs.dashboard.shared import Shared

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

ADDRESSES = [
    # asked for | the address that it comes to | what is ignored
    ({}, {}, ()),
    ({"state": "failed"}, {"state": "failed"}, ()),
    ({"state": "exploded"}, {}, ("state",)),
    ({"state": ""}, {}, ()),
    ({"state": " Failed"}, {}, ("state",)),
    ({"class": "app.X"}, {"class": "app.X"}, ()),
    ({"class": "app.X", "method": "run"}, {"class": "app.X::run"}, ()),
    ({"class": "app.X::run"}, {"class": "app.X::run"}, ()),
    ({"class": "app.X::run", "method": "send"}, {"class": "app.X::run"}, ()),
    ({"method": "run"}, {"method": "run"}, ()),
    ({"class": "a\x00b"}, {}, ("class",)),
    ({"queue": "mail"}, {"queue": "mail"}, ()),
    ({"queue": "q" * 5000}, {}, ("queue",)),
    ({"error": "ValueError"}, {"error": "ValueError"}, ()),
    ({"error": "E\n"}, {"error": "E"}, ()),
    ({"error": "E\x1b"}, {}, ("error",)),
    ({"from": "2026-11-20"}, {"from": "2026-11-20T00:00"}, ()),
    ({"from": "2026-11-20T10:30"}, {"from": "2026-11-20T10:30"}, ()),
    ({"from": "2026-11-20T10:30:15.5+02:00"}, {"from": "2026-11-20T08:30:15"}, ()),
    ({"to": "2026-11-20"}, {"to": "2026-11-21T00:00"}, ()),
    ({"to": "9999-12-31"}, {"to": "9999-12-31T00:00"}, ()),
    ({"to": "0001-01-01T00:00+14:00"}, {}, ("to",)),
    ({"from": "yesterday", "to": "2026-13-01"}, {}, ("from", "to")),
    ({"q": " Ada "}, {"q": "Ada"}, ()),
    ({"sort": "oldest"}, {"sort": "oldest"}, ()),
    ({"sort": "newest"}, {}, ()),
    ({"sort": "id;drop table"}, {}, ("sort",)),
    ({"per_page": "25"}, {"per_page": 25}, ()),
    ({"per_page": "10"}, {}, ()),
    ({"per_page": "11"}, {}, ("per_page",)),
    ({"before": "7"}, {"before": 7}, ()),
    ({"before": "7", "after": "3"}, {"after": 3}, ()),
    ({"before": "-1", "after": "9" * 30}, {}, ("before", "after")),
    ({"foo": "1"}, {}, ("foo",)),
    ({"f\x00" + "o" * 99: "1"}, {}, ("f\\x00" + "o" * 35,)),
    (dict.fromkeys("abcdefgh", "x"), {}, tuple("abcde")),
    ({"top": "5", "result": "retry-1-0-0"}, {}, ()),
]


@pytest.mark.parametrize(("asked", "address", "ignored"), ADDRESSES)
def test_addresses(asked, address, ignored):
    query = JobQuery.of(asked)
    assert (query.address, query.ignored) == (address, ignored)
    assert JobQuery.of({name: str(value) for name, value in address.items()}) == JobQuery.of(
        {name: value for name, value in asked.items() if name != "top"}
    )


WALKS = [
    # sort, before, after | whether the walk ascends | whether that is the way back
    ("newest", None, None, False, False),
    ("newest", 5, None, False, False),
    ("newest", None, 5, True, True),
    ("oldest", None, None, True, False),
    ("oldest", None, 5, True, False),
    ("oldest", 5, None, False, True),
]


@pytest.mark.parametrize(("sort", "before", "after", "ascends", "goes_back"), WALKS)
def test_walks(sort, before, after, ascends, goes_back):
    query = JobQuery(sort=sort, before=before, after=after)
    assert (query.ascends, query.goes_back) == (ascends, goes_back)


@pytest.mark.parametrize(
    ("begun", "retry_count", "max_retries", "words"),
    [(0, 0, 3, "–"), (1, 0, 3, "1/4"), (2, 1, 3, "2/4"), (0, 1, 3, "2/4"), (1, 0, 0, "1/1"), (1, "a", None, "a/")],
)
def test_attempts(begun, retry_count, max_retries, words):
    assert attempt(begun, retry_count, max_retries) == words


def at(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("status", "due", "started", "found"),
    [
        ("completed", at(-60), at(-58.5), Span("1.5 s")),
        ("running", at(-60), at(-60), Span("0 ms")),
        ("pending", at(-30), None, Span("30 s", "2026-11-24T11:59:30Z")),
        ("pending", at(-30), at(-90), Span("30 s", "2026-11-24T11:59:30Z")),
        ("pending", at(3600), None, Span("–")),
        ("cancelled", at(-30), at(-90), Span("–")),
        ("cancelled", at(-30), None, Span("–")),
        ("failed", None, at(-30), Span("–")),
        ("exploded", "soon", "later", Span("–")),
    ],
)
def test_waits_are_never_negative(status, due, started, found):
    assert wait(status, due, started, NOW) == found


@pytest.mark.parametrize(
    ("action", "tally", "words"),
    [
        ("retry", Tally(2), "2 retried."),
        ("cancel", Tally(2, 1), "2 cancelled or asked to stop, 1 had ended already."),
        ("delete", Tally(0, 1), "0 deleted, 1 has not ended."),
        ("delete", Tally(1000, 2, 1), "1,000 deleted, 2 have not ended, 1 was not there any more."),
        (
            "retry",
            Tally(0, 3, 2),
            "0 retried, 3 had neither failed nor been cancelled, 2 were not there any more.",
        ),
    ],
)
def test_results_in_words(action, tally, words):
    assert result_words(result_of(action, tally)) == words


@pytest.mark.parametrize(
    "result",
    [
        "",
        "x",
        "retry",
        "retry-1-2",
        "retry-1-2-3-4",
        "kill-1-2-3",
        "retry--1-2-3",
        "retry-1-2-9999999",
        "<b>",
        "retry-١-2-3",
        "retry-1-2-3\n",
    ],
)
def test_what_is_no_result_says_nothing(result):
    assert result_words(result) == ""


@pytest.mark.parametrize(("number", "typed"), [(1, ""), (100, ""), (101, "101"), (1000, "1000")])
def test_many_have_to_be_typed(number, typed):
    asked = question("delete", number)
    assert asked.typed == typed
    assert asked.title == ("Delete 1 job?" if number == 1 else f"Delete {number:,} jobs?")


# -- what is found out once for all --------------------------------------------------------------------------


def test_found_out_once_in_ten_seconds():
    now, found = [0.0], []
    shared = Shared(10.0, clock=lambda: now[0])

    def look(key="a"):
        return shared.get(key, lambda: found.append(key) or len(found))

    assert [look(), look(), look("b"), look()] == [1, 1, 2, 1]
    now[0] = 9.9
    assert look() == 1
    now[0] = 10.0
    assert [look(), look()] == [3, 3]


def test_one_finds_it_out_and_the_others_wait_or_take_the_old_one():
    now, asked, go_on = [0.0], [], threading.Event()
    shared = Shared(10.0, clock=lambda: now[0])

    def slow():
        asked.append(1)
        assert go_on.wait(20)
        return len(asked)

    def all_at_once():
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(shared.get("k", slow))) for _ in range(5)]
        for thread in threads:
            thread.start()
        return threads, answers

    threads, answers = all_at_once()
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert answers == [1] * 5

    go_on.clear()
    now[0] = 11.0
    threads, answers = all_at_once()
    while len(asked) < 2 or len(answers) < 4:
        time.sleep(0.001)
    assert answers == [1] * 4  # without waiting
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert sorted(answers) == [1, 1, 1, 1, 2]


def test_what_could_not_be_found_out_is_tried_again():
    shared = Shared(10.0)

    def fail():
        raise OSError

    for _ in range(2):
        with pytest.raises(OSError):
            shared.get("k", fail)
    assert shared.get("k", lambda: 7) == 7
