"""A database such as years of work leave behind: a million jobs, with their logs, attempts and metrics.

Written past all of our code, because through it that would take an hour.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from bgjobs import BackgroundJobs
from bgjobs.app_state import app_state
from bgjobs.log_search import index_batch

LOGS_OF_A_JOB = 4
WAITING = 1_000  # of the newest jobs
RARE_EVERY = 100_000
SECONDS_BETWEEN = 2  # jobs; so a million are 23 days
CLASSES = (
    ("shop.mail.EmailNotification", "send"),
    ("shop.reports.ReportJob", "generate"),
    ("shop.images.Thumbnails", "make"),
    ("shop.imports.CustomerImport", "run"),
    ("shop.mail.Newsletter", "send"),
)
QUEUES = ("default", "mail", "slow")
ERRORS = ("ValueError", "TimeoutError", "ConnectionRefusedError")
# Hours of metrics by the minute, by the quarter of an hour and by the hour, as the supervisor keeps them.
HOURS_BY_SPAN = {1: 7, 15: 25, 60: 7 * 24}

JOB = (
    "INSERT INTO background_jobs (id, class_name, method_name, parameters, status, queue, priority, retry_count, "
    "max_retries, retry_delay, scheduled_at, started_at, completed_at, error_message, created_at, updated_at, "
    "attempt) VALUES (?, ?, ?, ?, ?, ?, 0, 0, 3, '5.0', ?, ?, ?, ?, ?, ?, ?)"
)
LOG = "INSERT INTO job_logs (background_job_id, type, message, created_at) VALUES (?, ?, ?, ?)"
ATTEMPT = (
    "INSERT INTO job_attempts (background_job_id, number, execution_token, pid, host, started_at, ended_at, "
    "outcome, exception_type, exception_message) VALUES (?, 1, ?, 4711, 'shop', ?, ?, ?, ?, ?)"
)
METRIC = "INSERT INTO bgjobs_metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def open_house(folder: Path) -> Flask:
    """An application whose database lies in ``folder``, with its tables."""
    app = Flask("bench", instance_path=str(folder))
    app.config.update(
        SQLALCHEMY_DATABASE_URI="sqlite:///bench.db", BGJOBS_AUTOSTART=False, BGJOBS_DASHBOARD_ACCESS="open"
    )
    BackgroundJobs(app, SQLAlchemy(app))
    app_state(app).store.database.migrate()
    return app


def fill(app: Flask, path: Path, jobs: int) -> None:
    """``jobs`` jobs, the newest of which ended just now, but for some that wait and four that run."""
    random.seed(1)
    now = datetime.now(UTC).replace(tzinfo=None)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        for first in range(1, jobs + 1, 10_000):
            numbers = range(first, min(first + 10_000, jobs + 1))
            stories = [_Story(number, jobs, now) for number in numbers]
            connection.executemany(JOB, (story.row for story in stories))
            connection.executemany(ATTEMPT, (story.attempt for story in stories if story.started))
            connection.executemany(LOG, (log for story in stories for log in story.logs()))
            connection.commit()
            _tell(f"{numbers[-1]:>9,} jobs written")
        connection.executemany(METRIC, _metrics(int(time.time()) // 60))
        connection.commit()
    print(file=sys.stderr)
    _index(app)


class _Story:
    """One job: what became of it."""

    def __init__(self, number: int, jobs: int, now: datetime) -> None:
        self.number = number
        self.class_name, self.method_name = random.choice(CLASSES)
        self.status = self._status(jobs)
        self.started = self.status not in ("pending",)
        begin = now - timedelta(seconds=SECONDS_BETWEEN * (jobs - number))
        self.created, self.ended = str(begin), str(begin + timedelta(seconds=random.expovariate(1)))
        self.has_ended = self.status in ("completed", "failed", "cancelled")
        self.error = f"no such user {random.randrange(10**6)}" if self.status == "failed" else None
        self.error_type = random.choice(ERRORS) if self.error else None

    def _status(self, jobs: int) -> str:
        left = jobs - self.number
        if left < 4:
            return "running"
        if left < WAITING:
            return "pending"
        return random.choices(("completed", "failed", "cancelled"), (97, 2, 1))[0]

    @property
    def parameters(self) -> str:
        return f'{{"to":"user{self.number * 7919 % 10**6}@example.com","subject":"Hello","password":"hunter22"}}'

    @property
    def row(self) -> tuple[Any, ...]:
        return (
            *(self.number, self.class_name, self.method_name, self.parameters, self.status),
            *(random.choice(QUEUES), self.created, self.created if self.started else None),
            *(self.ended if self.has_ended else None, self.error and f"{self.error_type}: {self.error}"),
            *(self.created, self.ended, int(self.started)),
        )

    @property
    def attempt(self) -> tuple[Any, ...]:
        outcome = self.status if self.has_ended else None
        end = self.ended if self.has_ended else None
        return self.number, f"{self.number:032x}", self.created, end, outcome, self.error_type, self.error

    def logs(self) -> Iterator[tuple[int, str, str, str]]:
        told = (
            f'{{"id":{self.number},"class_name":"{self.class_name}","method_name":"{self.method_name}",'
            f'"parameters":{self.parameters},"status":"pending","retry_count":0}}'
        )
        yield self.number, "success", "Background job initiated", self.created
        yield self.number, "success", told, self.created
        rare = self.number % RARE_EVERY == 7
        yield self.number, "info", "the rare giraffe has left" if rare else "Sent 1 message in 84 ms", self.ended
        if self.error:
            yield self.number, "failure", f"{self.error_type}: {self.error} (attempt 1 of 4)", self.ended
        else:
            yield self.number, "success", "Background job completed processing", self.ended


def _metrics(minute: int) -> Iterator[tuple[Any, ...]]:
    """What ended in the minutes up to ``minute``, and in the quarters and hours before them."""
    end = minute + 1
    spans = []
    for span, hours in HOURS_BY_SPAN.items():
        first = (minute - hours * 60) // 60 * 60
        spans += [(span, begin) for begin in range(first, end, span)]
        end = first
    for span, begin in spans:
        for class_name, method_name in CLASSES:
            for kind, bucket, number in (
                *(("completed", bucket, random.randrange(1, 6) * span) for bucket in (8, 11, 14)),
                ("failed", 12, random.choice((0, 0, 1)) * span),
                ("wait", random.randrange(2, 5), 12 * span),
            ):
                if number:
                    yield span, begin, class_name, method_name, kind, bucket, number, 0.1 * number


def _index(app: Flask) -> None:
    done = 0
    while True:
        with app_state(app).store.database.writing() as connection:
            batch = index_batch(connection, 20_000)
        if not batch:
            break
        done += batch
        _tell(f"{done:>9,} logs indexed")
    print(file=sys.stderr)


def _tell(words: str) -> None:
    print(f"\r{words}", end="", file=sys.stderr)
