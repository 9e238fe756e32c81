"""What somebody typed into the form, as parameters: each text by the kind of its field, secrets put back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from bgjobs.approval import JobCall
from bgjobs.dashboard.edit.fields import ALL, Field, named_parameters
from bgjobs.dashboard.edit.masking import StillMasked, unmasked
from bgjobs.parameters import PARAMETERS_LIMIT
from bgjobs.redaction import Redactor

_is_whole = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII).fullmatch
_is_number = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII).fullmatch
_STILL_MASKED = "There is still a mask in it, which stands for nothing here: type the value."


class Refusal(ValueError):
    """Why a text cannot be the value of a field."""


def read(
    fields: list[Field], typed: Mapping[str, str], call: JobCall, redactor: Redactor
) -> tuple[dict[str, Any] | list[Any] | None, list[Field]]:
    """The parameters; None, and the fields with what is wrong, where they cannot be read."""
    stored = {ALL: call.parameters} if [field.name for field in fields] == [ALL] else named_parameters(call) or {}
    values: dict[str, Any] = {}
    shown, refused = [], False
    for field in fields:
        text = typed.get(field.input_name, "").replace("\r\n", "\n")
        try:
            found = _value(field, text, stored, redactor)
            values.update(found)
            shown.append(field.refused("", text))
        except Refusal as refusal:
            refused = True
            shown.append(field.refused(str(refusal), text))
    if refused:
        return None, shown
    return values.get(ALL) if ALL in values else values, shown


def _value(field: Field, text: str, stored: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """The value under the name of its field; nothing for a parameter that is left to its default."""
    if not text and field.is_kept:
        return {field.name: stored[field.name]}
    if not text and field.is_optional:
        return {}
    value = _parsed(field.kind, text)
    try:
        # A secret that was typed is no mask of the one before it; a text that stands elsewhere may hold one.
        return {field.name: value if field.is_secret else unmasked(value, stored.get(field.name), redactor)}
    except StillMasked:
        raise Refusal(_STILL_MASKED) from None


def _parsed(kind: str, text: str) -> Any:
    if kind == "text":
        return text
    if kind == "int":
        if not _is_whole(text.strip()):
            raise Refusal("Must be a whole number.")
        return int(text)
    if kind == "float":
        if not _is_number(text.strip()):
            raise Refusal("Must be a number, such as 2.5.")
        return int(text) if _is_whole(text.strip()) else float(text)
    if kind == "bool":
        if text not in ("true", "false"):
            raise Refusal("Must be true or false.")
        return text == "true"
    return _parsed_json(text)


def _parsed_json(text: str) -> Any:
    if len(text) > 2 * PARAMETERS_LIMIT:
        raise Refusal(f"More than {PARAMETERS_LIMIT // 1024} KiB: store the data, and pass its id.")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        hint = ' A text stands in double quotes: "like this".' if text.strip() else ""
        raise Refusal(f"Not JSON: {error.msg} in line {error.lineno}, column {error.colno}.{hint}") from None
    except (RecursionError, ValueError):
        raise Refusal("Nested too deeply, or a number with too many digits.") from None
