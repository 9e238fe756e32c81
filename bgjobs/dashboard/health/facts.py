"""What is there: the database, the files, the classes, the settings in force, the versions. Secrets masked."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from bgjobs.app_state import AppState
from bgjobs.custom_logger import ERRORS_FILE, SUCCESS_FILE
from bgjobs.dashboard import formats
from bgjobs.dashboard.facts import Fact
from bgjobs.database import SCHEMA_REVISION
from bgjobs.redaction import mask_urls, shorten
from bgjobs.settings import PREFIX, Settings
from bgjobs.version import version

_LONGEST = 500
_DISTRIBUTIONS = ("flask", "flask-sqlalchemy", "sqlalchemy", "psutil", "alembic", "flask-htmx")
_DEFAULTS = Settings()


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting in force."""

    name: str
    value: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class Approved:
    """One approved class: its methods, or why it cannot be used."""

    name: str
    methods: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class LogFile:
    """One log file. ``fault`` says why it cannot be written."""

    path: str
    size: str
    fault: str = ""


def database_facts(state: AppState, connection: Connection) -> list[Fact]:
    url = state.database_url
    facts = [Fact("Kind", _kind(connection)), Fact("Address", shown_url(url))]
    if state.store.database.is_sqlite:
        path = str(url.database).removeprefix("file:")
        facts += [Fact("Size", _size_of(path)), Fact("Write-ahead log", _size_of(f"{path}-wal"))]
    revision = state.store.database.schema_revision()
    is_newest = "the newest" if revision == SCHEMA_REVISION else f"this version needs {SCHEMA_REVISION}"
    return [*facts, Fact("Tables", f"revision {revision}, {is_newest}")]


def clock_facts(connection: Connection, now: datetime) -> list[Fact]:
    """The clock of this server, and how far the database's is from it where that is another computer."""
    facts = [Fact("Now", formats.moment(now, now).exact)]  # type: ignore[union-attr]
    zone = datetime.now().astimezone()
    facts.append(Fact("Time zone", f"{zone.tzname()} ({zone:%z}); all times are stored in UTC"))
    if connection.dialect.name != "sqlite":
        theirs = connection.scalar(select(func.now()))
        if isinstance(theirs, datetime) and theirs.tzinfo:
            facts.append(Fact("Database's clock", f"{(theirs - now).total_seconds():+.1f} s"))
    return facts


def version_facts() -> list[Fact]:
    names = [Fact("bgjobs", version()), Fact("Python", platform.python_version())]
    names += [Fact(name, version(name)) for name in _DISTRIBUTIONS]
    return [*names, Fact("SQLite", sqlite3.sqlite_version), Fact("System", platform.platform())]


def approved_classes(state: AppState) -> list[Approved]:
    return [
        Approved(formats.line(name), fault=mask_urls(formats.line(found)))
        if isinstance(found, str)
        else Approved(formats.line(name), ", ".join(found))
        for name, found in sorted(state.approval.overview().items())
    ]


def log_files(state: AppState) -> list[LogFile]:
    folder = str(state.settings.log_dir)
    paths = [os.path.join(folder, name) for name in (SUCCESS_FILE, ERRORS_FILE)]
    return [LogFile(formats.line(path), _size_of(path), _fault_of(path)) for path in (*paths, state.folder.log)]


def settings_in_force(settings: Settings) -> list[Setting]:
    return [
        Setting(
            PREFIX + item.name.upper(),
            shown_setting(item.name, getattr(settings, item.name)),
            getattr(settings, item.name) == getattr(_DEFAULTS, item.name),
        )
        for item in fields(settings)
    ]


def shown_setting(name: str, value: Any) -> str:
    """A value as it may be shown: functions and classes by their names, addresses without who opens them."""
    if name == "database_uri" and value is not None:
        return _of_url(str(value))
    if isinstance(value, dict):
        shown = ", ".join(f"{_name(key)}: {_name(methods)}" for key, methods in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        shown = ", ".join(map(_name, value)) or "none"
    else:
        shown = _name(value)
    return mask_urls(formats.line(shorten(shown, _LONGEST)))


def shown_url(url: URL) -> str:
    """Only what is no secret in any database: no user, no password, no options."""
    return formats.line(
        URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()
    )


def _of_url(text: str) -> str:
    try:
        return shown_url(make_url(text))
    except (ArgumentError, ValueError):
        return "set"


def _name(value: Any) -> str:
    if isinstance(value, type | Callable):
        return f"{value.__module__}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    return "not set" if value is None else str(value)


def _kind(connection: Connection) -> str:
    numbers = ".".join(map(str, connection.dialect.server_version_info or ()))
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL"}.get(connection.dialect.name)
    return f"{name or connection.dialect.name} {numbers or sqlite3.sqlite_version}"


def _size_of(path: str) -> str:
    try:
        return formats.size(os.path.getsize(path))
    except OSError:
        return "not there"


def _fault_of(path: str) -> str:
    if os.path.islink(path):
        return "it is a link"
    if not os.path.lexists(path):
        folder = os.path.dirname(path)
        return "" if os.access(folder, os.W_OK) or not os.path.lexists(folder) else "its folder cannot be written"
    if not os.path.isfile(path):
        return "it is no file"
    return "" if os.access(path, os.W_OK) else "it cannot be written"
