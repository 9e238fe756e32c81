"""The settings: one frozen object made from ``app.config`` when the extension is set up."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from bgjobs.exceptions import ConfigurationError
from bgjobs.limits import memory_size, niceness
from bgjobs.redaction import DEFAULT_KEY_PATTERN
from bgjobs.retry import LONGEST_DELAY

PREFIX = "BGJOBS_"
BACKENDS = ("local", "inline", "celery")
START_METHODS = ("auto", "fork", "spawn")


def _setting(default: Any, check: Callable[[Any], Any]) -> Any:
    return field(default=default, metadata={"check": check})


def _text(value: Any) -> str:
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise ValueError("must be a text")
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be True or False")
    return value


def _one_of(choices: tuple[str, ...]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return check


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return value

    return check


def _number(of: str, least: float, most: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ValueError(f"must be a number of {of} from {least:g} to {most:g}")
        return float(value)

    return check


_seconds = _number("seconds", 0, LONGEST_DELAY)
_days = _number("days", 0, LONGEST_DELAY / 86400)
# An attempt that may not run at all is a mistake; the clock of a test may be this fast.
_timeout = _number("seconds", 0.001, LONGEST_DELAY)
_lease = _number("seconds", 1, 86400)


def _database_uri(value: Any) -> str:
    try:
        return make_url(value if isinstance(value, URL) else _text(value)).render_as_string(hide_password=False)
    except (ArgumentError, ValueError):
        # Neither the value nor the cause is shown: either may hold the password.
        raise ConfigurationError(
            "BGJOBS_DATABASE_URI must be an SQLAlchemy URL such as sqlite:////srv/shop/jobs.db",
            setting="BGJOBS_DATABASE_URI",
        ) from None


def _broker_url(value: Any) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9+]*://.*", _text(value)):
        # It is not shown: it may hold the password.
        raise ConfigurationError(
            "BGJOBS_BROKER_URL must be a URL such as redis://127.0.0.1:6379/0 or amqp://user:password@host//",
            setting="BGJOBS_BROKER_URL",
        )
    return str(value)


def _url_path(value: Any) -> str:
    path = _text(value)
    if not re.fullmatch(r"/[A-Za-z0-9_\-./]*[A-Za-z0-9_\-]", path):
        raise ValueError("must be a path such as /dashboard")
    return path


def _pattern(value: Any) -> str:
    try:
        re.compile(_text(value))
    except re.error as error:
        raise ValueError(f"is not a regular expression ({error})") from error
    return str(value)


def _access(value: Any) -> Any:
    if value != "open" and not callable(value):
        raise ValueError('must be a callable or "open"')
    return value


def _class_or_path(value: Any) -> Any:
    if not isinstance(value, type | str):
        raise ValueError("must be a class or its dotted path")
    return value


def _classes(value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, list | tuple | set | Mapping):
        raise ValueError("must be a list of classes or dotted paths, or a dict of class to method names")
    return value


def _default_processes() -> int:
    # More than the CPUs on a small machine: jobs mostly wait (mail, HTTP, reports from a database).
    return max(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every ``BGJOBS_…`` key. A value of None means "not set": what follows from that is said behind it."""

    backend: str = _setting("local", _one_of(BACKENDS))
    broker_url: str | None = _setting(None, _broker_url)  # celery: that of the application's own Celery
    database_uri: str | None = _setting(None, _database_uri)  # the application's own database
    runner: Any = _setting(None, _class_or_path)  # CustomBackgroundJobRunner
    approved_classes: Any = _setting((), _classes)
    app: str | None = _setting(None, _text)  # found by itself: processes/app_loader.py
    processes: int = field(default_factory=_default_processes, metadata={"check": _whole(1, 1024)})
    jobs_per_process: int = _setting(1, _whole(1, 1_000_000))
    start_method: str = _setting("auto", _one_of(START_METHODS))
    # Long enough that someone who tries things out keeps a warm supervisor, short enough to leave nothing behind.
    idle_timeout: float = _setting(300.0, _seconds)
    ready_within: float | None = _setting(None, _timeout)  # by the start method: processes/pool.py
    autostart: bool = _setting(True, _flag)
    timeout: float | None = _setting(None, _timeout)  # no limit
    memory: int | None = _setting(None, memory_size)  # no limit
    nice: int | None = _setting(None, niceness)  # as nice as the supervisor
    kill_grace: float = _setting(10.0, _seconds)  # what container engines give, too
    # Long enough for a busy host and for a database that is started anew; its jobs wait so long when it is gone.
    lease: float = _setting(30.0, _lease)
    max_pending: int | None = _setting(None, _whole(1, 2**31))  # no limit
    state_dir: str | None = _setting(None, _text)  # <instance>/bgjobs
    log_dir: str | None = _setting(None, _text)  # <instance>/logs
    output_max: int = _setting(1024 * 1024, _whole(1024, 2**31))
    retention_completed: float | None = _setting(None, _days)  # for ever
    retention_failed: float | None = _setting(None, _days)  # for ever
    retention_count: int | None = _setting(None, _whole(1, 2**31))  # any number
    dashboard_url: str = _setting("/dashboard", _url_path)
    dashboard_access: Any = _setting(None, _access)  # closed, but for debug mode on loopback
    redact: str = _setting(DEFAULT_KEY_PATTERN, _pattern)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read and check every key that starts with ``BGJOBS_``.

        Raises :class:`ConfigurationError` for an unknown key (naming the nearest one) and for a value
        that cannot work.
        """
        known = {PREFIX + item.name.upper(): item for item in fields(cls)}
        given = {key: value for key, value in config.items() if key.startswith(PREFIX)}
        if given.get("BGJOBS_APP") is None:
            given["BGJOBS_APP"] = os.environ.get("BGJOBS_APP") or None
        values = {}
        for key, value in given.items():
            if key not in known:
                raise ConfigurationError(_unknown(key, list(known)), setting=key)
            if value is None:
                continue
            try:
                values[known[key].name] = known[key].metadata["check"](value)
            except ValueError as error:
                raise ConfigurationError(f"{key} {error}. It is {value!r}.", setting=key) from error
        return cls(**values)

    def with_folders_below(self, instance_path: str) -> Settings:
        """The same settings with the two folders filled in and absolute (relative ones count from the
        application's instance folder)."""
        return replace(
            self,
            state_dir=str(Path(instance_path, self.state_dir or "bgjobs")),
            log_dir=str(Path(instance_path, self.log_dir or "logs")),
        )


def _unknown(key: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(key, known, n=1)
    remedy = f"Did you mean {nearest[0]}?" if nearest else f"The settings are {', '.join(sorted(known))}."
    return f"{key} is not a setting of bgjobs. {remedy}"
