"""How values and records look on a terminal. Rows may have been edited by hand, so all is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
import humanize

from bgjobs.records import Record
from bgjobs.redaction import escape


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def print_logs(records: Iterable[Record]) -> None:
    for item in records:
        # Escaped once more: a row may have been edited by hand.
        then = (item["created_at"] or "")[:19].replace("T", " ")
        click.echo(f"[{then}] {escape(item['type'].upper())}: {escape(item['message'])}")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    cells = [[escape("" if value is None else str(value)) for value in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def what(item: Record) -> str:
    return f"{item['class_name']}::{item['method_name']}"


def ago(moment: str | None) -> str:
    if moment is None:
        return ""
    then = datetime.fromisoformat(moment)
    return humanize.naturaltime(datetime.now(then.tzinfo) - then)


def shown(value: Any) -> str:
    return escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def because(error: str | None) -> str:
    return f": {escape(error)}" if error else ""
