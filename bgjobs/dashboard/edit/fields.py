"""The fields of the form: one for each parameter of a method, or one for all of them as JSON. Pure.

Annotations are only read, as the words that they are: nothing of a signature is evaluated or called.
"""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass, replace
from typing import Any

from bgjobs.approval import JobCall
from bgjobs.dashboard import formats
from bgjobs.redaction import Redactor, escape, escape_lines, mask_urls, shorten

ALL = ""
"""The name of the field that holds all parameters as JSON."""
PREFIX = "p."
_PLAIN = {"str": "text", "int": "int", "float": "float", "bool": "bool"}
_TYPES = {"int": int, "float": float, "bool": bool}
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_LONG_TEXT = 60
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Field:
    """One field: ``kind`` is text, int, float, bool or json. What stands in ``value`` may be shown."""

    name: str
    kind: str
    value: str
    label: str
    type_words: str = ""
    default_words: str = ""
    doc: str = ""
    is_optional: bool = False
    is_secret: bool = False  # its value is not shown; left empty, it stays as it is
    is_kept: bool = False  # there is a secret that can stay
    is_long: bool = False
    error: str = ""

    @property
    def input_name(self) -> str:
        return f"{PREFIX}{self.name}"

    def refused(self, reason: str, typed: str) -> Field:
        """The field with what was typed and why that cannot be. A secret is not sent back."""
        return replace(self, error=reason, value="" if self.is_secret else typed)


def fields_of(call: JobCall, redactor: Redactor) -> list[Field]:
    """The fields for a call with the parameters that it has now."""
    method, given = call.method, named_parameters(call)
    whole = method.whole is not None and method.whole not in (given or {})
    if given is None or whole or any(parameter.kind not in _NAMED for parameter in method.own):
        return [_all_as_json(call, redactor)]
    return [_field(parameter, given, method.doc, redactor) for parameter in method.own]


def named_parameters(call: JobCall) -> dict[str, Any] | None:
    """The parameters by name; None where they have none, or do not fit the method any more."""
    if isinstance(call.parameters, dict):
        return call.parameters
    if any(parameter.kind not in _NAMED for parameter in call.method.own):
        return None
    names = [parameter.name for parameter in call.method.own if parameter.kind is _NAMED[0]]
    return dict(zip(names, call.parameters, strict=False)) if len(call.parameters) <= len(names) else None


def left_out(call: JobCall, fields: list[Field]) -> list[str]:
    """Parameters of the job that the method does not have any more, so that there is no field for them."""
    if [field.name for field in fields] == [ALL]:
        return []
    return [
        formats.line(name) for name in named_parameters(call) or {} if name not in {field.name for field in fields}
    ]


def _field(parameter: inspect.Parameter, given: dict[str, Any], doc: str, redactor: Redactor) -> Field:
    name, is_optional = parameter.name, parameter.default is not inspect.Parameter.empty
    is_given = name in given
    is_secret = redactor.parameters({name: ""})[name] != ""
    value = given[name] if is_given else None
    kind = _kind(parameter, value, is_given=is_given)
    shown = "" if is_secret or not is_given else _written(redactor.parameters(value), kind)
    return Field(
        name=name,
        kind=kind,
        value=shown,
        label=name,
        type_words=_annotation(parameter.annotation),
        default_words=_default(parameter, redactor) if is_optional and not is_secret else "",
        doc=doc_of(name, doc),
        is_optional=is_optional,
        is_secret=is_secret,
        is_kept=is_secret and is_given,
        is_long=kind == "json" or len(shown) > _LONG_TEXT or "\n" in shown,
    )


def _all_as_json(call: JobCall, redactor: Redactor) -> Field:
    text = _json(redactor.parameters(call.parameters))
    words = "an array, for positional arguments" if isinstance(call.parameters, list) else "an object"
    return Field(ALL, "json", text, "Parameters", type_words=f"JSON: {words}", is_long=True)


def _kind(parameter: inspect.Parameter, value: Any, *, is_given: bool) -> str:
    """Plain where the annotation says so and the value is like that; where there is none, as the value is."""
    annotation: Any = parameter.annotation
    if annotation is inspect.Parameter.empty:
        annotation = type(value if is_given else parameter.default)
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation).strip("'\" ")
    kind = _PLAIN.get(name, "json")
    if is_given and not _fits(value, kind):
        return "json"
    # An empty field stands for the default, so an empty text that is none has to be written in quotes.
    if is_given and kind == "text" and value == "" and parameter.default not in ("", inspect.Parameter.empty):
        return "json"
    return kind


def _fits(value: Any, kind: str) -> bool:
    """Whether a field of this kind can show the value, and give it back as it is."""
    if kind == "json":
        return True
    if kind == "text":
        return type(value) is str and escape_lines(value) == value
    return type(value) in ((int, float) if kind == "float" else (_TYPES[kind],))


def _written(value: Any, kind: str) -> str:
    return value if kind == "text" else _json(value)


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text if escape_lines(text) == text else json.dumps(value, indent=2)


def _annotation(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    words = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return escape(shorten(words, _SHOWN))


def _default(parameter: inspect.Parameter, redactor: Redactor) -> str:
    """The default in words; of what is no plain value only that there is one."""
    if type(parameter.default) not in (str, int, float, bool, type(None)):
        return "set by the method"
    return escape(shorten(mask_urls(json.dumps(parameter.default, ensure_ascii=False)), _SHOWN))


def doc_of(name: str, doc: str) -> str:
    """What a docstring says of a parameter, in the ways of Sphinx and of Google."""
    found = re.search(
        rf"^\s*(?::param (?:[^:\n]*\s)?{re.escape(name)}:|{re.escape(name)}(?: ?\([^)\n]*\))?:)\s*(\S.*)$",
        doc,
        re.M,
    )
    return escape(shorten(found[1].strip(), 200)) if found else ""
