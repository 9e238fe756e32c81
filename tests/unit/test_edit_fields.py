"""The fields of the form with the parameters of a job, and how what is typed into them becomes parameters."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from bgjobs.approval import Approval
from bgjobs.dashboard.edit.fields import ALL, doc_of, fields_of, left_out
from bgjobs.dashboard.edit.masking import StillMasked, unmasked
from bgjobs.dashboard.edit.reading import read
from bgjobs.redaction import MASK, Redactor

REDACTOR = Redactor()


class Loud:
    """A default that must not be asked what it is."""

    def __repr__(self) -> str:
        raise AssertionError

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    __hash__ = None  # type: ignore[assignment]


def wrapped(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Work:
    def plain(
        self, to: str, times: int, ratio: float = 0.5, loud: bool = False, tags: list[str] | None = None
    ) -> None:
        """Do it.

        :param to: the address
        :param int times: how often
        Args:
            ratio (float): of one to the other
        """

    def quoted(self, to: "str", odd: "a.b.C[d] | None" = None) -> None: ...  # noqa: F821, UP037

    def bare(self, a, b="x", c=None, d=3): ...

    def whole(self, params: dict[str, Any]) -> None: ...

    def many(self, first: int, *others: int) -> None: ...

    def named(self, first: int = 1, **others: int) -> None: ...

    def positional(self, first: int, /, second: int = 2) -> None: ...

    def only(self, *, first: int, second: str = "") -> None: ...

    def secrets(
        self, password: str, api_key: str = "hidden-canary", url: str = "", data: dict[str, Any] | None = None
    ): ...

    def loud(self, first: int = Loud()): ...  # type: ignore[assignment]

    def markup(self, first: str = "<b>\x1b[2J", second: "<script>\u202e" = 1) -> None: ...  # noqa: F722

    @staticmethod
    def static(first: int) -> None: ...

    @classmethod
    def of_class(cls, first: int) -> None: ...

    @wrapped
    def hidden(self, first: int) -> None: ...

    def nothing(self) -> None: ...


approval = Approval()
approval.add([Work])


def call(method, parameters):
    return approval.call_of_row(Work, method, parameters)


def fields(method, parameters):
    return fields_of(call(method, parameters), REDACTOR)


def kinds(method, parameters):
    return {field.name: (field.kind, field.value) for field in fields(method, parameters)}


FIELDS = [
    (
        "plain",
        {"to": "ada", "times": 3},
        {
            "to": ("text", "ada"),
            "times": ("int", "3"),
            "ratio": ("float", ""),
            "loud": ("bool", ""),
            "tags": ("json", ""),
        },
    ),
    (
        "plain",
        {"to": 5, "times": "3", "ratio": 1, "loud": True, "tags": []},
        {
            "to": ("json", "5"),
            "times": ("json", '"3"'),
            "ratio": ("float", "1"),
            "loud": ("bool", "true"),
            "tags": ("json", "[]"),
        },
    ),
    (
        "plain",
        ["ada", 3],
        {
            "to": ("text", "ada"),
            "times": ("int", "3"),
            "ratio": ("float", ""),
            "loud": ("bool", ""),
            "tags": ("json", ""),
        },
    ),
    (
        "plain",
        {"to": None, "times": True},
        {
            "to": ("json", "null"),
            "times": ("json", "true"),
            "ratio": ("float", ""),
            "loud": ("bool", ""),
            "tags": ("json", ""),
        },
    ),
    ("quoted", {"to": "ada"}, {"to": ("text", "ada"), "odd": ("json", "")}),
    ("bare", {"a": "x"}, {"a": ("text", "x"), "b": ("text", ""), "c": ("json", ""), "d": ("int", "")}),
    (
        "bare",
        {"a": [1], "b": ""},
        {"a": ("json", "[\n  1\n]"), "b": ("json", '""'), "c": ("json", ""), "d": ("int", "")},
    ),
    ("whole", {"to": "ada"}, {ALL: ("json", '{\n  "to": "ada"\n}')}),
    ("whole", {"params": {"to": "ada"}}, {"params": ("json", '{\n  "to": "ada"\n}')}),
    ("many", [1, 2], {ALL: ("json", "[\n  1,\n  2\n]")}),
    ("named", {"first": 1, "x": 2}, {ALL: ("json", '{\n  "first": 1,\n  "x": 2\n}')}),
    ("positional", [1], {ALL: ("json", "[\n  1\n]")}),
    ("only", {"first": 1}, {"first": ("int", "1"), "second": ("text", "")}),
    ("only", {"first": 1, "second": ""}, {"first": ("int", "1"), "second": ("text", "")}),
    ("static", {"first": 1}, {"first": ("int", "1")}),
    ("of_class", {"first": 1}, {"first": ("int", "1")}),
    ("hidden", {"first": 1}, {"first": ("int", "1")}),
    ("nothing", {}, {}),
    ("nothing", [1, 2], {ALL: ("json", "[\n  1,\n  2\n]")}),
    (
        "only",
        {"first": 10**18, "second": "a\x1b\u202e\r"},
        {
            "first": ("int", "1000000000000000000"),
            "second": ("json", '"a\\u001b\\u202e\\r"'),
        },
    ),
]


@pytest.mark.parametrize(("method", "parameters", "expected"), FIELDS)
def test_one_field_for_each_parameter(method, parameters, expected):
    assert kinds(method, parameters) == expected


@pytest.mark.parametrize(("method", "parameters", "expected"), FIELDS)
def test_what_is_sent_back_as_it_came_is_the_same(method, parameters, expected):
    job = call(method, parameters)
    given = fields_of(job, REDACTOR)
    values, shown = read(given, {field.input_name: field.value for field in given}, job, REDACTOR)
    assert [field.error for field in shown] == [""] * len(given)
    if method == "plain" and parameters == ["ada", 3]:  # the same call, by name
        parameters = {"to": "ada", "times": 3}
    if method == "only" and parameters.get("second") == "":  # the default, which is the same
        parameters = {"first": 1}
    assert values == parameters
    assert [type(value) for value in values] == [type(value) for value in parameters]


def test_what_a_field_tells_of_itself():
    to, times, ratio, loud, tags = fields("plain", {"to": "ada", "times": 3})
    assert (to.type_words, to.doc, to.is_optional) == ("str", "the address", False)
    assert (times.doc, ratio.doc, loud.doc) == ("how often", "of one to the other", "")
    assert (ratio.default_words, loud.default_words, tags.default_words) == ("0.5", "false", "null")
    assert tags.type_words == "list[str] | None"


def test_nothing_of_a_signature_is_asked_or_run():
    (field,) = fields("loud", {})
    assert field.default_words == "set by the method"
    first, second = fields("markup", {})
    assert (first.default_words, second.type_words) == ('"<b>\\u001b[2J"', "'<script>\\u202e'")


@pytest.mark.parametrize(
    ("doc", "found"),
    [
        ("", ""),
        (":param to: him", "him"),
        (":param str to: him", "him"),
        ("    to: him", "him"),
        ("to (str): him", "him"),
        ("goto: not him", ""),
        (":param tomorrow: not him", ""),
        ("to: " + "x" * 1000, "x" * 200),
        ("to: \x1b[2J", "\\x1b[2J"),
    ],
)
def test_what_a_docstring_says_of_a_parameter(doc, found):
    assert doc_of("to", doc).startswith(found)
    assert bool(doc_of("to", doc)) == bool(found)
    assert len(doc_of("to", doc)) < 250


def test_parameters_that_the_method_does_not_have_any_more_are_named():
    job = call("only", {"first": 1, "gone\n": 2})
    assert left_out(job, fields_of(job, REDACTOR)) == ["gone\\x0a"]
    job = call("named", {"first": 1, "x": 2})
    assert left_out(job, fields_of(job, REDACTOR)) == []


# -- what is typed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ({"p.to": "grace", "p.times": " 4 "}, {"to": "grace", "times": 4}),
        ({"p.to": "", "p.times": "-1", "p.ratio": "2.5e1"}, {"to": "", "times": -1, "ratio": 25.0}),
        ({"p.to": "a\r\nb", "p.times": "1", "p.loud": "true"}, {"to": "a\nb", "times": 1, "loud": True}),
        ({"p.to": "a", "p.times": "1", "p.tags": '["x"]'}, {"to": "a", "times": 1, "tags": ["x"]}),
        ({"p.to": "a", "p.times": "1", "p.unknown": "x", "class_name": "os"}, {"to": "a", "times": 1}),
    ],
)
def test_what_is_typed_becomes_parameters(typed, values):
    job = call("plain", {"to": "ada", "times": 3})
    assert read(fields_of(job, REDACTOR), typed, job, REDACTOR)[0] == values


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("times", "", "Must be a whole number."),
        ("times", "1.5", "Must be a whole number."),
        ("times", "٣", "Must be a whole number."),
        ("times", "9" * 30, "Must be a whole number."),
        ("times", "1_000", "Must be a whole number."),
        ("ratio", "nan", "Must be a number, such as 2.5."),
        ("ratio", "1e9999", "Must be a number, such as 2.5."),
        ("loud", "maybe", "Must be true or false."),
        (
            "tags",
            "x",
            'Not JSON: Expecting value in line 1, column 1. A text stands in double quotes: "like this".',
        ),
        ("tags", "[" * 100_000, "Nested too deeply, or a number with too many digits."),
        ("tags", "9" * 10_000, "Nested too deeply, or a number with too many digits."),
        ("tags", '"' + "x" * 200_000, "More than 64 KiB: store the data, and pass its id."),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field_and_stays_typed(name, text, reason):
    job = call("plain", {"to": "ada", "times": 3})
    values, shown = read(fields_of(job, REDACTOR), {"p.to": "a", "p.times": "1", f"p.{name}": text}, job, REDACTOR)
    assert values is None
    assert {field.name: field.error for field in shown if field.error} == {name: reason}
    assert {field.name: field.value for field in shown}[name] == text
    assert {field.name: field.value for field in shown}["to"] == "a"


# -- secrets ------------------------------------------------------------------------------------------------


SECRET = {
    "password": "hunter22",
    "url": "https://u:hunter22@h/",
    "data": {"token": "hunter22", "list": [{"token": "t1"}]},
}


def test_a_secret_is_in_no_field():
    found = fields("secrets", SECRET)
    assert "hunter22" not in repr(found)
    assert "t1" not in repr(found)
    assert "hidden-canary" not in repr(found)
    assert {field.name: (field.is_secret, field.is_kept) for field in found} == {
        "password": (True, True),
        "api_key": (True, False),
        "url": (False, False),
        "data": (False, False),
    }


def test_a_secret_stays_unless_another_one_is_typed():
    job = call("secrets", SECRET)
    given = fields_of(job, REDACTOR)
    as_shown = {field.input_name: field.value for field in given}
    assert read(given, as_shown, job, REDACTOR)[0] == SECRET
    values, _ = read(given, {**as_shown, "p.password": MASK}, job, REDACTOR)
    assert values == {**SECRET, "password": MASK}  # typed: that is what it shall be
    changed = as_shown["p.data"].replace('"list"', '"new": 1, "list"')
    values, _ = read(given, {**as_shown, "p.data": changed, "p.api_key": "k"}, job, REDACTOR)
    assert values == {**SECRET, "api_key": "k", "data": {**SECRET["data"], "new": 1}}


def test_what_was_typed_as_a_secret_is_not_sent_back():
    job = call("secrets", SECRET)
    values, shown = read(fields_of(job, REDACTOR), {"p.password": "typed-canary", "p.data": "x"}, job, REDACTOR)
    assert values is None
    assert "typed-canary" not in repr(shown)
    assert "hunter22" not in repr(shown)


@pytest.mark.parametrize(
    ("given", "stored", "value"),
    [
        ({"token": MASK}, {"token": "t"}, {"token": "t"}),
        ({"token": "new"}, {"token": "t"}, {"token": "new"}),
        ({"a": {"token": MASK}, "b": 1}, {"a": {"token": "t"}}, {"a": {"token": "t"}, "b": 1}),
        ([{"token": MASK}, 2], [{"token": "t"}, 1], [{"token": "t"}, 2]),
        (
            [{"id": 2, "token": MASK}],
            [{"id": 1, "token": "a"}, {"id": 2, "token": "b"}],
            [{"id": 2, "token": "b"}],
        ),
        ({"token": MASK}, {"token": {"deep": ["t"]}}, {"token": {"deep": ["t"]}}),
        (f"https://{MASK}@h", "https://u:p@h", "https://u:p@h"),
        ({"u": [f"x {MASK}@h"]}, {"u": [f"x {MASK}@h"]}, {"u": [f"x {MASK}@h"]}),  # it was there before
    ],
)
def test_what_was_masked_is_put_back_in_its_place(given, stored, value):
    assert unmasked(given, stored, REDACTOR) == value


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"token": MASK}, {}),
        ({"other": MASK}, {"token": "t"}),
        ({"secret": MASK}, {"token": "t"}),
        ({"token": f"{MASK}x"}, {"token": "t"}),
        ([MASK], {"token": "t"}),
        (f"https://{MASK}@evil.example", "https://u:p@h"),
        ([{"token": MASK}], []),
    ],
)
def test_a_mask_that_was_moved_brings_no_secret_with_it(given, stored):
    with pytest.raises(StillMasked):
        unmasked(given, stored, REDACTOR)
