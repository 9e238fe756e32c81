"""S8: whatever a job, its parameters or a caller say, a record stays one line and no record can be forged."""

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_lines import parsed, records

from bgjobs import current_job
from bgjobs.models import NAME_LENGTH
from bgjobs.redaction import RECORD_LIMIT, escape, escape_lines, json_line

FORGED = "[2026-01-01 00:00:00] SUCCESS: app.Bank::pay - Background job completed processing"

HOSTILE = [
    f"x\n{FORGED}",
    f"x\r\n{FORGED}\r\n",
    f"x\r{FORGED}",
    f"\n\n\n{FORGED}\n",
    f"x\x0b{FORGED}",
    f"x\x0c{FORGED}",
    f"x\x85{FORGED}",
    f"x\u2028{FORGED}",
    f"x\u2029{FORGED}",
    f"x\x1c{FORGED}\x1d\x1e\x1f",
    "\x1b[2J\x1b[H\x1b[31mred",
    "\x1b]8;;http://evil.example\x07click\x1b]8;;\x07",
    "\x1b]52;c;cm0gLXJmIC8=\x07",
    "\x9b31m\x90q\x9d52;c;x\x9c",
    "\u202etxt.exe\u202c \u2066a\u2069 \u200e\u200f\u061c",
    "\x08\x08\x08\x7f\x00\a",
    "\ufeffbom",
    "%s %d %n %(name)s %%",
    "{} {0} {0.__class__} {job.id}",
    "\ud800 lone surrogate \udfff",
    "é \U0001f600 \u0644\u0627",
    "\\x1b\\n backslashes",
    " - looks :: like - a subject | ",
    "'\"`$(id)<script>",
    "\t tab",
]


class Talker:
    def fail(self, message):
        raise ValueError(message)

    def fail_with_cause(self, message):
        try:
            raise KeyError(message)
        except KeyError as error:
            error.add_note(message)
            raise RuntimeError(message) from error

    def fail_by_hostile_type(self, message):
        raise type(message, (Exception,), {})(message)

    def exit(self, message):
        raise SystemExit(message)

    def log(self, message):
        current_job.log(message)

    def progress(self, message):
        current_job.progress(1, 2, message)

    def log_much(self):
        current_job.log("x" * 1_000_000)

    def fail_much(self):
        raise ValueError("x" * 1_000_000)

    def fail_in_many_lines(self):
        raise ValueError("\n" * 1_000_000)

    def fail_number(self, number):
        raise ValueError(HOSTILE[number])

    def log_number(self, number):
        current_job.log(HOSTILE[number])

    def progress_number(self, number):
        current_job.progress(1, 2, HOSTILE[number])

    def hostile_type_number(self, number):
        raise type(HOSTILE[number].replace("\0", ""), (Exception,), {})("x")


@pytest.fixture
def site(make_site):
    return make_site(Talker)


def stored(site):
    return site.query("SELECT type, message FROM job_logs ORDER BY id")


def check(site):
    """The files hold exactly the records of the table, in printable lines."""
    success, errors = site.log(), site.errors_log()
    for text in (success, errors):
        assert text.splitlines() == text.split("\n")[:-1]  # nothing else that any reader takes for a line end
        assert all(character == "\n" or character.isprintable() for character in text.replace("\\", ""))
    assert sorted(records(success) + records(errors)) == sorted(stored(site))
    assert {line["type"] for line in parsed(errors)} <= {"FAILURE"}
    subjects = {line["subject"].rpartition("::")[0] for line in parsed(success + errors)}
    assert subjects == {"test_log_injection.Talker"}
    assert all(message.isprintable() for _, message in stored(site))


def can_be_parameters(text):
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)


@pytest.mark.parametrize("message", HOSTILE, ids=lambda message: ascii(message)[:25])
def test_a_hostile_text_by_every_way_into_the_log(site, message):
    number = HOSTILE.index(message)
    for method in ("fail_number", "log_number", "progress_number", "hostile_type_number"):
        site.dispatch(Talker, method, [number], max_retries=1)
    if can_be_parameters(message):
        for method in ("fail", "fail_with_cause", "log", "progress", "exit", "fail_by_hostile_type"):
            site.dispatch(Talker, method, {"message": message}, max_retries=0)
    check(site)


def test_all_of_them_together_are_as_many_records_as_events(site):
    for number in range(len(HOSTILE)):
        site.dispatch(Talker, "log_number", [number])
    assert len(parsed(site.log())) == len(HOSTILE) * 6
    check(site)


@pytest.fixture(scope="module")
def one_site(make_site):
    return make_site(Talker)


@settings(max_examples=40)
@given(message=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_no_text_breaks_a_line(one_site, message):
    logged = one_site.dispatch(Talker, "log", {"message": message})
    failed = one_site.dispatch(Talker, "fail", {"message": message}, max_retries=0)
    assert (len(one_site.story(logged.id)), len(one_site.story(failed.id))) == (6, 5)
    assert sorted(records(one_site.log()) + records(one_site.errors_log())) == sorted(stored(one_site))


@pytest.mark.parametrize("method", ["log_much", "fail_much", "fail_in_many_lines"])
def test_a_text_of_a_megabyte_is_capped_in_the_files_and_in_the_table(site, method):
    job = site.dispatch(Talker, method, max_retries=0)
    assert max(len(message) for _, message in site.story(job.id)) < RECORD_LIMIT + 50
    assert max(map(len, (site.log() + site.errors_log()).split("\n"))) < 70_000
    assert len(site.errors_log()) < 100_000
    check(site)


def test_the_columns_that_are_shown_hold_no_control_character(site):
    for number in range(len(HOSTILE)):
        handle = site.dispatch(Talker, "fail_number", [number], max_retries=0)
        assert handle.error_message.isprintable()
        attempt = site.attempts(handle.id)[0]
        assert attempt["exception_message"].isprintable()
        assert all(line.isprintable() for line in attempt["traceback"].replace("\t", " ").split("\n"))
        typed = site.dispatch(Talker, "hostile_type_number", [number], max_retries=0)
        assert site.attempts(typed.id)[0]["exception_type"].isprintable()
        assert len(site.attempts(typed.id)[0]["exception_type"]) <= NAME_LENGTH
        progress = site.dispatch(Talker, "progress_number", [number])
        assert site.row(progress.id).progress_message.isprintable()


def test_percent_and_braces_are_literal_on_the_console(site, caplog):
    with caplog.at_level(logging.INFO, "bgjobs"):
        site.dispatch(Talker, "log", {"message": "%s %d %(x)s {} {0}"})
    assert any(record.getMessage().endswith("- %s %d %(x)s {} {0}") for record in caplog.records)
    assert all("\x1b" not in record.getMessage() for record in caplog.records)


ESCAPED = [
    ("plain é", "plain é"),
    ("a\nb", "a\\x0ab"),
    ("\x1b[2J", "\\x1b[2J"),
    ("\x85\x9b", "\\x85\\x9b"),
    ("\u2028", "\\u2028"),
    ("\u202e", "\\u202e"),
    ("\ud800", "\\ud800"),
    ("\0\x7f", "\\x00\\x7f"),
]


@pytest.mark.parametrize(("text", "shown"), ESCAPED)
def test_control_characters_are_shown_by_their_numbers(text, shown):
    assert escape(text) == shown


@given(text=st.text())
def test_an_escaped_text_is_one_line_and_can_be_encoded(text):
    assert len(escape(text).splitlines()) <= 1
    escape(text).encode()
    assert escape(escape(text)) == escape(text)


def test_a_block_keeps_its_line_feeds_and_tabs_and_nothing_else():
    assert escape_lines("a\n\tb\r\n\x1b") == "a\n\tb\\x0d\n\\x1b"


@given(value=st.recursive(st.text() | st.integers(), st.lists))
def test_json_on_a_line_is_one_line_and_still_json(value):
    line = json_line(value)
    assert len(line.splitlines()) <= 1
    assert json.loads(line) == value
