"""Reads a log file back: what a line may look like, and nothing else may be in the file."""

from __future__ import annotations

import re

LINE = re.compile(
    r"\[(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\] (?P<type>SUCCESS|FAILURE|INFO): "
    r"(?P<subject>[^ ]+::[^ ]+) (?P<mark>-|\|  ) (?P<message>.*)"
)


def parsed(text: str) -> list[re.Match[str]]:
    """The lines of a log file; fails when any of them is none of ours."""
    assert text == "" or text.endswith("\n")
    lines = text.split("\n")[:-1]
    found = [match for line in lines if (match := LINE.fullmatch(line))]
    assert len(found) == len(lines), [line for line in lines if not LINE.fullmatch(line)][:3]
    return found


def messages(text: str) -> list[tuple[str, str, str]]:
    """Type, subject and message of every line."""
    return [(match["type"], match["subject"], match["message"]) for match in parsed(text)]


def records(text: str) -> list[tuple[str, str]]:
    """Type and message of every record, as ``job_logs`` has them: without the lines of tracebacks."""
    return [(match["type"].lower(), match["message"]) for match in parsed(text) if match["mark"] == "-"]
