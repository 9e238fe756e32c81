"""What ended in each minute: buckets and percentiles as tables, and what is counted by which transition."""

import math
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from databases import only_on_sqlite

from bgjobs import ExampleJob, metrics
from bgjobs.metrics import bucket_of, kind_of, minute_of, percentile, seconds_between, seconds_of
from bgjobs.runner.outcome import Outcome
from bgjobs.store import NewJob

NOW = datetime(2030, 1, 31, 12, 0, 30, tzinfo=UTC)
SEAT = {"host": "h", "boot_id": "b", "pid_namespace": "n", "pid": 4711, "process_started": "99"}


# -- buckets and percentiles ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [
        (0, 0),
        (0.0009, 0),
        (0.001, 1),
        (0.00139, 1),
        (0.00141, 2),
        (0.00197, 3),
        (1, 21),
        (60, 33),
        (3600, 45),
        (86400, 55),
        (1e12, 70),
        (math.inf, 70),
        (-1, 0),
        (-math.inf, 0),
        (math.nan, 0),
    ],
)
def test_buckets(seconds, bucket):
    assert bucket_of(seconds) == bucket


def test_a_bucket_tells_its_durations_within_a_fifth():
    for exponent in range(-30, 150):
        seconds = 1.1**exponent
        assert abs(seconds_of(bucket_of(seconds)) / seconds - 1) <= 0.2, seconds


def test_buckets_grow_with_their_durations():
    middles = [seconds_of(bucket) for bucket in range(71)]
    assert middles == sorted(set(middles))
    assert [bucket_of(middle) for middle in middles] == list(range(71))
    assert seconds_of(-5) == 0
    assert seconds_of(10**9) == seconds_of(70)


@pytest.mark.parametrize(
    ("histogram", "percent", "bucket"),
    [
        ({}, 50, None),
        ({5: 0}, 50, None),
        ({5: 1}, 0, 5),
        ({5: 1}, 50, 5),
        ({5: 1}, 100, 5),
        ({5: 1, 9: 1}, 50, 5),
        ({9: 1, 5: 1}, 51, 9),
        ({1: 95, 20: 5}, 95, 1),
        ({1: 94, 20: 6}, 95, 20),
        ({1: 98, 20: 1, 30: 1}, 99, 20),
        ({1: 98, 20: 1, 30: 1}, 100, 30),
    ],
)
def test_percentiles(histogram, percent, bucket):
    assert percentile(histogram, percent) == (None if bucket is None else seconds_of(bucket))


@pytest.mark.parametrize("percent", [50, 95, 99])
def test_percentiles_are_near_the_true_ones(percent):
    source = random.Random(7)
    durations = sorted(source.lognormvariate(0, 2) for _ in range(5000))
    true = durations[math.ceil(len(durations) * percent / 100) - 1]
    assert percentile(Counter(map(bucket_of, durations)), percent) == pytest.approx(true, rel=0.2)


@pytest.mark.parametrize(
    ("status", "outcome", "kind"),
    [
        ("completed", "completed", "completed"),
        ("failed", "failed", "failed"),
        ("failed", "timed_out", "failed"),
        ("failed", "lost", "failed"),
        ("cancelled", "cancelled", "cancelled"),
        ("pending", "failed", "retried"),
        ("pending", "lost", "retried"),
        ("pending", "released", None),
    ],
)
def test_kinds(status, outcome, kind):
    assert kind_of(status, outcome) == kind


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [(NOW, NOW + timedelta(seconds=2), 2), (NOW, NOW - timedelta(hours=1), 0), (None, NOW, 0), (NOW, None, 0)],
)
def test_seconds(start, end, seconds):
    assert seconds_between(start, end) == seconds


# -- what is counted ------------------------------------------------------------------------------------------


def begin(store, count=1, waited=1.0, method="run", max_retries=3):
    """Executions that start at NOW."""
    due = NOW - timedelta(seconds=waited)
    new = [NewJob("app.Job", method, {}, due, "default", 0, 0, max_retries, 5.0, None) for _ in range(count)]
    with store.changing() as changes:
        ids = changes.enqueue_all(new, now=due)
    with store.changing() as changes:
        return changes.claim([SEAT] * count, backend="local", job_ids=ids, now=NOW)


def end(store, *ended, ran=2.0):
    with store.changing() as changes:
        return changes.finish(ended, now=NOW + timedelta(seconds=ran))


def counted(store):
    """Number and seconds by kind and bucket."""
    with store.database.reading() as connection:
        rows = connection.execute(metrics.metrics.select()).all()
    assert {(row.span, row.minute) for row in rows} <= {(1, minute_of(NOW))}
    assert {row.class_name for row in rows} <= {"app.Job"}
    return {(row.kind, row.bucket): (row.number, pytest.approx(row.seconds)) for row in rows}


@pytest.mark.parametrize(
    ("outcome", "max_retries", "kind"),
    [
        (Outcome("completed"), 3, "completed"),
        (Outcome("failed", "x", "ValueError", retry_in=5), 3, "retried"),
        (Outcome("failed", "x", "ValueError", retry_in=5), 0, "failed"),
        (Outcome("timed_out"), 3, "failed"),
        (Outcome("lost", retry_in=1), 3, "retried"),
    ],
)
def test_an_attempt_is_counted_as_what_became_of_its_job(store, outcome, max_retries, kind):
    (job,) = begin(store, max_retries=max_retries)
    end(store, (job, outcome))
    assert counted(store) == {(kind, bucket_of(2)): (1, 2.0), ("wait", bucket_of(1)): (1, 1.0)}


def test_a_batch_is_added_up_by_bucket(store):
    jobs = begin(store, 4)
    end(store, *((job, Outcome("completed")) for job in jobs[:3]))
    end(store, (jobs[3], Outcome("completed")))
    assert counted(store) == {("completed", bucket_of(2)): (4, 8.0), ("wait", bucket_of(1)): (4, 4.0)}


def test_methods_are_counted_apart(store):
    for method in ("send", "send", "read"):
        (job,) = begin(store, method=method)
        end(store, (job, Outcome("completed")))
    with store.database.reading() as connection:
        rows = connection.execute(metrics.metrics.select().where(metrics.metrics.c.kind == "completed")).all()
    assert {row.method_name: row.number for row in rows} == {"send": 2, "read": 1}


def test_a_cancelled_job_is_counted_once_it_has_stopped(store):
    (job,) = begin(store)
    store.cancel(job.id)
    assert counted(store) == {}
    end(store, (job, Outcome("stopped")))
    assert [kind for kind, _ in counted(store)] == ["cancelled", "wait"]


def test_what_was_fenced_out_is_not_counted(store):
    (job,) = begin(store)
    end(store, (job, Outcome("completed")))
    before = counted(store)
    assert end(store, (job, Outcome("completed"))) == {}
    assert end(store, (job._replace(token="another"), Outcome("failed"))) == {}
    assert counted(store) == before


def test_of_two_outcomes_of_one_execution_one_is_counted(store):
    (job,) = begin(store)
    end(store, (job, Outcome("completed")), (job, Outcome("failed")))
    assert [kind for kind, _ in counted(store)] == ["completed", "wait"]


def test_what_is_put_back_is_not_counted(store):
    (job,) = begin(store)
    end(store, (job, Outcome("released")))
    assert counted(store) == {}


def test_a_clock_that_was_set_back_makes_no_negative_time(store):
    (job,) = begin(store, waited=-20)
    end(store, (job, Outcome("completed")), ran=-5)
    assert counted(store) == {("completed", 0): (1, 0.0), ("wait", 0): (1, 0.0)}


def test_nothing_is_counted_when_the_transaction_fails(store):
    (job,) = begin(store)
    with pytest.raises(ZeroDivisionError), store.changing() as changes:
        changes.finish([(job, Outcome("completed"))], now=NOW)
        raise ZeroDivisionError
    assert counted(store) == {}


@only_on_sqlite
def test_times_that_nobody_can_read_count_as_none(store):
    (job,) = begin(store)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE background_jobs SET started_at = 'soon'")
    end(store, (job, Outcome("completed")))
    assert counted(store) == {("completed", 0): (1, 0.0), ("wait", 0): (1, 0.0)}


def test_inline_jobs_are_counted_with_each_attempt(make_site):
    site = make_site(ExampleJob)
    site.dispatch(ExampleJob, "run")
    site.dispatch(ExampleJob, "fail", max_retries=2, retry_delay=0)
    found = site.query(
        "SELECT method_name, kind, sum(number) FROM bgjobs_metrics WHERE kind != 'wait' GROUP BY 1, 2"
    )
    assert sorted(found) == [("fail", "failed", 1), ("fail", "retried", 2), ("run", "completed", 1)]
    assert site.query("SELECT sum(number) FROM bgjobs_metrics WHERE kind = 'wait'") == [(4,)]
