"""The options of a dispatch: what was given, what the class, the runner and the settings say, checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bgjobs.approval import JobCall
from bgjobs.exceptions import InvalidParameters
from bgjobs.limits import NAMES, checked_limits
from bgjobs.retry import checked_max_retries, checked_retry_count, checked_retry_delay, checked_seconds
from bgjobs.runner.custom_background_job_runner import CustomBackgroundJobRunner
from bgjobs.settings import Settings
from bgjobs.store import NewJob

_QUEUE = re.compile(r"[A-Za-z0-9_.:\-]{1,100}")
_PRIORITIES = range(-(2**31), 2**31)
_DEFAULT_LIMITS: dict[str, Callable[[Settings], int | None]] = {
    "memory": lambda settings: settings.memory,
    "nice": lambda settings: settings.nice,
    "output_max": lambda settings: None,  # BGJOBS_OUTPUT_MAX is the supervisor's, for all jobs that set none
}


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller of ``run_background_job`` may give; None is "not given"."""

    delay: float | timedelta | None = None
    run_at: datetime | None = None
    queue: str | None = None
    priority: int | None = None
    max_retries: int | None = None
    retry_delay: float | Sequence[float] | Callable[[int], float] | None = None
    timeout: float | None = None
    memory: int | str | None = None
    nice: int | None = None
    output_max: int | str | None = None


def new_job(
    call: JobCall,
    retry_count: int,
    options: Options,
    *,
    runner: type[CustomBackgroundJobRunner],
    settings: Settings,
    now: datetime,
) -> NewJob:
    """The job to store. Raises :class:`InvalidParameters` for an option that cannot be."""

    def option(name: str, otherwise: Any) -> Any:
        given = getattr(options, name)
        of_class = getattr(call.job_class, name, None)
        return given if given is not None else of_class if of_class is not None else otherwise

    def limit(name: str) -> Any:
        found = option(name, None)
        if found is None or callable(found):  # a method of the class that happens to have this name
            return _DEFAULT_LIMITS[name](settings)
        return found

    max_retries = checked_max_retries(option("max_retries", runner.MAX_RETRIES))
    return NewJob(
        class_name=call.class_name,
        method_name=call.method_name,
        parameters=call.parameters,
        scheduled_at=_start_time(options.delay, options.run_at, now),
        queue=checked_queue(option("queue", "default")),
        priority=_checked_priority(option("priority", 0)),
        retry_count=checked_retry_count(retry_count, max_retries),
        max_retries=max_retries,
        retry_delay=checked_retry_delay(option("retry_delay", runner.RETRY_DELAY), max_retries),
        timeout=_checked_timeout(option("timeout", settings.timeout)),
        limits=checked_limits({name: limit(name) for name in NAMES}),
    )


def _start_time(delay: float | timedelta | None, run_at: datetime | None, now: datetime) -> datetime:
    if delay is not None and run_at is not None:
        raise InvalidParameters("give delay or run_at, not both", path="delay")
    if run_at is not None:
        if not isinstance(run_at, datetime) or run_at.utcoffset() is None:
            raise InvalidParameters(
                "must be a datetime with a time zone, such as datetime.now(timezone.utc) + timedelta(hours=1)",
                path="run_at",
            )
        try:
            return run_at.astimezone(UTC)
        except OverflowError:
            raise InvalidParameters("in UTC that is no date between the years 1 and 9999", path="run_at") from None
    if isinstance(delay, timedelta):
        delay = delay.total_seconds()
    return now + timedelta(seconds=0.0 if delay is None else checked_seconds(delay, "delay"))


def checked_queue(value: Any) -> str:
    """``value`` if it can be the name of a queue. Raises :class:`InvalidParameters`."""
    if not isinstance(value, str) or not _QUEUE.fullmatch(value):
        raise InvalidParameters("a name of 1 to 100 letters, digits and _ . : -", path="queue")
    return value


def _checked_priority(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in _PRIORITIES:
        raise InvalidParameters("must be a whole number of 32 bits; smaller runs first", path="priority")
    return value


def _checked_timeout(value: Any) -> float | None:
    if value is None:
        return None
    seconds = checked_seconds(value, "timeout")
    if seconds == 0:
        raise InvalidParameters("must be more than 0 seconds", path="timeout")
    return seconds
