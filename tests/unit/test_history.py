"""Minutes become quarters, quarters hours, and hours go: each number is there once, whoever is killed when."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from bgjobs.dashboard.overview.range import RANGES
from bgjobs.database import Database
from bgjobs.metrics import metrics, minute_of
from bgjobs.supervisor import history as history_module
from bgjobs.supervisor.history import STEPS, History, tidy_some

NOW = datetime(2030, 1, 31, 12, 20, tzinfo=UTC)
HOUR = minute_of(datetime(2030, 1, 30, 10, tzinfo=UTC))  # the newest that is past keeping quarters of
QUARTER = minute_of(datetime(2030, 1, 31, 5, tzinfo=UTC))  # the newest that is past keeping minutes of


@pytest.fixture
def path(tmp_path, empty_database):
    return shutil.copy(empty_database, tmp_path / "jobs.db")


@pytest.fixture
def database(path):
    database = Database(f"sqlite:///{path}")
    yield database
    database.dispose()


def add(database, *minutes, span=1, kind="completed", bucket=3, number=1, name="app.Job"):
    row = {"span": span, "class_name": name, "method_name": "run", "kind": kind, "bucket": bucket}
    with database.writing() as connection:
        for minute in minutes:
            connection.execute(insert(metrics), {**row, "minute": minute, "number": number, "seconds": number / 4})


def found(database):
    """Number and seconds by span, minute, kind and bucket."""
    with database.reading() as connection:
        rows = connection.execute(metrics.select().order_by(*metrics.primary_key.columns)).all()
    return {(row.span, row.minute, row.kind, row.bucket): (row.number, row.seconds) for row in rows}


def tidy(database, now=NOW):
    pieces = 0
    while tidy_some(database, now):
        pieces += 1
    return pieces


def test_minutes_of_an_hour_that_is_long_past_become_that_hour(database):
    add(database, HOUR, HOUR + 1, HOUR + 59)
    add(database, HOUR + 1, bucket=4, number=10)
    add(database, HOUR + 30, kind="wait", number=5)
    tidy(database)
    assert found(database) == {
        (60, HOUR, "completed", 3): (3, 0.75),
        (60, HOUR, "completed", 4): (10, 2.5),
        (60, HOUR, "wait", 3): (5, 1.25),
    }


@pytest.mark.parametrize(
    ("minute", "span"),
    [
        (HOUR - 1, 60),
        (HOUR + 59, 60),
        (HOUR + 60, 15),  # 25 hours and 20 minutes old, in an hour that is not over so long
        (QUARTER + 14, 15),
        (QUARTER + 15, 1),
        (minute_of(NOW), 1),
        (minute_of(NOW) + 999, 1),
    ],
)
def test_how_fine_the_past_is(database, minute, span):
    add(database, minute)
    tidy(database)
    assert list(found(database)) == [(span, minute - minute % span, "completed", 3)]


def test_the_charts_find_what_they_are_drawn_from():
    """A point of a chart is no shorter than what is kept of its time, and begins where such a span begins."""
    now = minute_of(NOW)
    for looked_at in RANGES:
        first = looked_at.first_minute(now)
        span = next((step.span for step in STEPS if now - first <= step.hours * 60), 60)
        assert looked_at.step % span == first % span == 0


@pytest.mark.parametrize(("days", "is_kept"), [(89, True), (91, False), (4000, False)])
def test_hours_go_after_ninety_days(database, days, is_kept):
    hour = HOUR - days * 24 * 60 + 24 * 60
    add(database, hour, span=60)
    add(database, HOUR, span=60)
    tidy(database)
    assert ((60, hour, "completed", 3) in found(database)) is is_kept
    assert (60, HOUR, "completed", 3) in found(database)


def test_minutes_that_were_forgotten_for_months_go_as_well(database):
    add(database, HOUR - 200 * 24 * 60)
    tidy(database)
    assert found(database) == {}


def test_a_piece_is_small(database):
    add(database, *range(HOUR, HOUR + 60))
    assert tidy_some(database, NOW)
    assert Counter(span for span, *_ in found(database)) == {1: 45, 15: 1}
    assert tidy(database) == 3
    assert found(database) == {(60, HOUR, "completed", 3): (60, 15.0)}


def test_nothing_to_do_writes_nothing(database, monkeypatch):
    add(database, minute_of(NOW))
    monkeypatch.setattr(database, "writing", None)
    assert not tidy_some(database, NOW)


def test_hostile_rows_are_rolled_up_like_others(database):
    name = "'; DROP TABLE bgjobs_metrics; --"
    add(database, HOUR, name=name)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE bgjobs_metrics SET number = 'many', seconds = x'00'")
    tidy(database)
    assert [span for span, *_ in found(database)] == [60]


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from datetime import datetime
    from sqlalchemy import event
    from bgjobs.database import Database
    from bgjobs.supervisor.history import tidy_some

    database = Database(f"sqlite:///{sys.argv[1]}")
    statements = 0

    @event.listens_for(database.engine, "after_cursor_execute")
    def count(connection, cursor, statement, *rest):
        global statements
        statements += 1
        if statements == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

    while tidy_some(database, datetime.fromisoformat(sys.argv[3])):
        pass
    print(statements)
    """
)


def test_killed_at_any_statement_each_number_is_there_once(path, tmp_path):
    add_to = Database(f"sqlite:///{path}")
    add(add_to, HOUR, HOUR + 1, HOUR + 15, number=7)
    add_to.dispose()

    def run(folder, at):
        copy = shutil.copy(path, folder)
        return copy, subprocess.run(
            [sys.executable, "-c", KILLED, copy, str(at), NOW.isoformat()],
            capture_output=True,
            text=True,
            check=False,
        )

    last, whole = run(tmp_path / "whole.db", 0)
    assert whole.returncode == 0, whole.stderr
    for at in range(1, int(whole.stdout) + 1):
        copy, killed = run(tmp_path / f"{at}.db", at)
        assert killed.returncode == -signal.SIGKILL
        database = Database(f"sqlite:///{copy}")
        assert sum(number for number, _ in found(database).values()) == 21, at
        tidy(database)
        assert found(database) == {(60, HOUR, "completed", 3): (21, 5.25)}, at
        database.dispose()
    assert os.path.exists(last)


# -- when the supervisor does it --------------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.at = 1000.0

    def monotonic(self):
        return self.at

    def now(self):
        return NOW


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(history_module, "time", clock)
    monkeypatch.setattr(history_module, "clock", clock)
    return clock


def spans(database):
    return sorted(span for span, *_ in found(database))


def test_a_calm_supervisor_does_it_at_once_and_then_every_minute(database, clock):
    history = History(database)
    add(database, HOUR)
    history.work(is_busy=False)
    assert spans(database) == [60]
    add(database, HOUR + 1, bucket=9)
    clock.at += 59
    history.work(is_busy=False)
    assert spans(database) == [1, 60]
    clock.at += 1
    history.work(is_busy=False)
    assert spans(database) == [60, 60]


def test_a_supervisor_that_is_never_calm_does_a_piece_a_second_after_ten_minutes(database, clock):
    history = History(database)
    add(database, HOUR, HOUR + 15, HOUR + 30)
    left = []
    for _ in range(604):
        history.work(is_busy=True)
        left.append(spans(database).count(1))
        clock.at += 1
    assert left[599:] == [3, 2, 1, 0, 0]


def test_what_is_not_long_ago_is_left_alone_by_a_busy_one(database, clock):
    history = History(database)
    add(database, minute_of(NOW - timedelta(hours=3)))
    clock.at += 700
    history.work(is_busy=True)
    assert spans(database) == [1]


def test_minutes_become_hours_on_each_database(store):
    add(store.database, HOUR, HOUR + 1, HOUR + 59, number=2)
    tidy(store.database)
    assert found(store.database) == {(60, HOUR, "completed", 3): (6, 1.5)}
