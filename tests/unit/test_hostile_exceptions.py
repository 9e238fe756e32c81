"""S9: an exception is anything at all; whatever its text does, the job ends failed and something is recorded."""

import threading
import time

import pytest

from bgjobs.models import NAME_LENGTH
from bgjobs.runner import failure
from bgjobs.runner.failure import MESSAGE_LIMIT, TRACEBACK_LIMIT, message_of, traceback_of


class StrRaises(Exception):
    def __str__(self):
        raise RuntimeError("no text for you")


class StrAndReprRaise(StrRaises):
    def __repr__(self):
        raise RuntimeError("no text for you")


class StrExits(Exception):
    def __str__(self):
        raise SystemExit(3)


class StrInterrupts(Exception):
    def __str__(self):
        raise KeyboardInterrupt


class StrIsNoText(Exception):
    def __str__(self):
        return 5


class StrRecurses(Exception):
    def __str__(self):
        return str(self)


class StrIsHuge(Exception):
    def __str__(self):
        return "x" * 100_000_000


class StrHasASurrogate(Exception):
    def __str__(self):
        return "a\ud800\0b"


class StrLoops(Exception):
    leave = threading.Event()

    def __str__(self):
        self.leave.wait()
        return "at last"


class NoArguments(Exception):
    pass


HostileName = type("\x1b[2J\n" + "E" * 1_000_000, (Exception,), {})
NotImportable = type("NotImportable", (Exception,), {"__module__": "no.such.module"})


def deep_chain():
    error = ValueError("the first")
    for number in range(5_000):
        later = ValueError(str(number))
        later.__cause__ = error
        error = later
    return error


def cyclic_chain():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one


def group():
    return ExceptionGroup("several", [ValueError("one"), ExceptionGroup("more", [KeyError("two")])])


def with_notes():
    error = ValueError("noted")
    error.add_note("a note")
    error.__notes__.append(StrRaises())
    return error


MAKERS = {
    "str raises": (StrRaises, "cannot be shown: RuntimeError"),
    "str and repr raise": (StrAndReprRaise, "cannot be shown: RuntimeError"),
    "str exits": (StrExits, "cannot be shown: SystemExit"),
    "str interrupts": (StrInterrupts, "cannot be shown: KeyboardInterrupt"),
    "str is no text": (StrIsNoText, "cannot be shown: TypeError"),
    "str recurses": (StrRecurses, "cannot be shown: RecursionError"),
    "str is huge": (StrIsHuge, "xxxx"),
    "str has a surrogate": (StrHasASurrogate, "a\\ud800\\x00b"),
    "str loops": (StrLoops, "took too long"),
    "no arguments": (NoArguments, "NoArguments"),
    "hostile name": (HostileName, "\\x1b[2J\\x0aE"),
    "not importable": (NotImportable, "NotImportable"),
    "deep chain": (deep_chain, "4999"),
    "cyclic chain": (cyclic_chain, "one"),
    "group": (group, "several"),
    "hostile notes": (with_notes, "noted"),
}


class Raiser:
    def run(self, what):
        raise MAKERS[what][0]()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(failure, "PATIENCE", 0.3)
    StrLoops.leave.clear()
    yield
    StrLoops.leave.set()


@pytest.fixture(scope="module")
def site(make_site):
    return make_site(Raiser)


@pytest.mark.parametrize("what", MAKERS)
def test_the_job_fails_and_says_something(site, request, what):
    if what == "str loops":  # the others may take the time that a busy machine takes
        request.getfixturevalue("impatient")
    started = time.monotonic()
    handle = site.dispatch(Raiser, "run", [what], max_retries=1)
    assert time.monotonic() - started < 10
    assert handle.status == "failed"
    assert handle.retry_count == 1
    assert MAKERS[what][1] in handle.error_message
    assert len(handle.error_message) <= NAME_LENGTH + 6 * MESSAGE_LIMIT
    attempts = site.attempts(handle.id)
    assert [attempt["outcome"] for attempt in attempts] == ["failed", "failed"]
    for attempt in attempts:
        assert len(attempt["exception_type"]) <= NAME_LENGTH
        assert len(attempt["traceback"]) <= 2 * TRACEBACK_LIMIT
        assert "in run" in attempt["traceback"] or "deep" in what
    assert [kind for kind, _ in site.story(handle.id)].count("failure") == 2


def test_nothing_waits_longer_than_the_patience_for_a_text(impatient):
    started = time.monotonic()
    assert message_of(StrLoops()) == "<its message took too long>"
    assert traceback_of(StrLoops()).endswith("StrLoops>")
    assert time.monotonic() - started < 5


def test_the_text_is_found_even_when_no_thread_can_be_started(monkeypatch):
    def no_room(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_room)
    assert message_of(ValueError("still here")) == "still here"
    assert "ValueError: still here" in traceback_of(ValueError("still here"))


def test_a_huge_message_and_a_huge_traceback_are_cut():
    assert len(message_of(ValueError("x" * 10**6))) == MESSAGE_LIMIT
    text = traceback_of(ValueError("x" * 10**6))
    assert len(text) < TRACEBACK_LIMIT + 100
    assert "characters left out" in text


def test_local_values_are_not_in_the_traceback():
    def careless():
        secret = "canary-in-a-local"
        raise ValueError(len(secret))

    with pytest.raises(ValueError) as raised:
        careless()
    assert "careless" in traceback_of(raised.value)
    assert "canary-in-a-local" not in traceback_of(raised.value).replace('secret = "canary-in-a-local"', "")


def test_the_frames_of_a_package_whose_name_begins_like_ours_are_the_jobs_own(tmp_path, monkeypatch, make_site):
    (tmp_path / "bgjobs_of_a_shop.py").write_text("class Job:\n    def run(self):\n        return 1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    site = make_site(approved_classes=["bgjobs_of_a_shop.Job"])
    handle = site.dispatch("bgjobs_of_a_shop.Job", "run", max_retries=0)
    traceback = site.attempts(handle.id)[0]["traceback"]
    assert "return 1 / 0" in traceback
    assert traceback.count("File ") == 1
