"""What is removed of ended jobs and what never is: by age, by number, with all that belongs to them."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from databases import only_on_sqlite
from sqlalchemy import text

from bgjobs import log_search, lookups, samples
from bgjobs.dashboard.logs.matching import matching
from bgjobs.dashboard.logs.query import LogQuery
from bgjobs.models import ENDED, STATUSES
from bgjobs.removal import Removed
from bgjobs.runner.outcome import Outcome
from bgjobs.state_folder import StateFolder
from bgjobs.store import NewJob
from bgjobs.supervisor import retention as retention_module
from bgjobs.supervisor.retention import CHUNK, Caretaker, Pruner, Retention

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
SEAT = {"host": "h", "boot_id": "b", "pid_namespace": "n", "pid": 4711, "process_started": "99"}


@pytest.fixture
def folder(tmp_path):
    return StateFolder(str(tmp_path / "state")).prepare()


def a_job(store, status="completed", days_ago=0.0, took=0.0, method="run"):
    """A job that was dispatched so long ago and ended ``took`` days later."""
    begin = NOW - timedelta(days=days_ago)
    with store.changing() as changes:
        new = NewJob("app.Job", method, {}, begin, "default", 0, 0, 3, 5.0, None)
        (job_id,) = changes.enqueue_all([new], now=begin)
    if status != "pending":
        with store.changing() as changes:
            (job,) = changes.claim([SEAT], backend="local", job_ids=[job_id], now=begin)
            if status != "running":
                changes.finish([(job, Outcome(status))], now=begin + timedelta(days=took))
    return job_id


def prune(store, folder, dry_run=False, **settings):
    walk, pruned = Pruner(store, folder, Retention(**settings), now=NOW), Removed()
    while (some := walk.prune_some(dry_run=dry_run)) is not None:
        pruned += some
    return pruned


def left(store):
    with store.database.reading() as connection:
        return list(connection.scalars(lookups.jobs.select().with_only_columns(lookups.jobs.c.id).order_by("id")))


def rows(store, table):
    with store.database.reading() as connection:
        return connection.execute(table.select()).all()


AGES = [
    # status, settings, days since its end | whether it is removed
    ("completed", {"completed": 7}, 7.1, True),
    ("completed", {"completed": 7}, 6.9, False),
    ("cancelled", {"completed": 7}, 7.1, True),
    ("cancelled", {"failed": 7}, 99, False),
    ("failed", {"failed": 7}, 7.1, True),
    ("failed", {"completed": 7}, 99, False),
    ("completed", {"failed": 7}, 99, False),
    ("completed", {"completed": 0.5}, 0.6, True),
    ("completed", {"completed": 0}, 0.1, True),
    ("completed", {}, 9999, False),
    *((status, {"completed": 0, "failed": 0, "count": 1}, 9999, False) for status in ("pending", "running")),
]


@pytest.mark.parametrize(("status", "settings", "days", "removed"), AGES)
def test_by_age(store, folder, status, settings, days, removed):
    job_id = a_job(store, status, days_ago=days)
    pruned = prune(store, folder, **settings)
    assert (left(store) == []) is removed
    assert pruned.jobs == ({status: 1} if removed else {})
    assert job_id


def test_what_counts_is_when_it_ended_not_when_it_began(store, folder):
    slow = a_job(store, days_ago=30, took=29)
    quick = a_job(store, days_ago=30, took=1)
    assert prune(store, folder, completed=7).jobs == {"completed": 1}
    assert left(store) == [slow]
    assert quick != slow


def test_by_number_the_newest_are_kept_whatever_their_status(store, folder):
    waiting = a_job(store, "pending", days_ago=99)
    ids = [a_job(store, status) for status in ENDED * 3]
    running = a_job(store, "running", days_ago=99)
    assert prune(store, folder, count=4).jobs.total() == 5
    assert left(store) == [waiting, *ids[5:], running]
    assert prune(store, folder, count=4).jobs.total() == 0


def test_by_number_and_age_together(store, folder):
    old = [a_job(store, days_ago=10) for _ in range(3)]
    new = [a_job(store) for _ in range(5)]
    prune(store, folder, completed=7, count=4)
    assert left(store) == new[1:]
    assert old


def test_everything_that_belongs_to_a_job_goes_with_it_and_nothing_else(store, folder, tmp_path):
    gone, kept = a_job(store, days_ago=30), a_job(store)
    with store.database.writing() as connection:
        for job_id in (gone, kept):
            connection.execute(
                samples.samples.insert().values(
                    background_job_id=job_id, attempt=1, at=NOW, cpu=None, rss=1, threads=1, children=0
                )
            )
            (tmp_path / "state" / "output" / f"{job_id}-1.log").write_text("words")
    pruned = prune(store, folder, completed=7)
    assert pruned.to_json() == {
        "jobs": {"completed": 1, "failed": 0, "cancelled": 0},
        "logs": 5,
        "attempts": 1,
        "samples": 1,
        "files": 1,
    }
    for table in (lookups.logs, lookups.attempts, samples.samples):
        assert {row.background_job_id for row in rows(store, table)} == {kept}
    assert os.listdir(tmp_path / "state" / "output") == [f"{kept}-1.log"]


def test_a_dry_run_counts_the_same_and_changes_nothing(store, folder):
    for _ in range(CHUNK + 5):
        a_job(store, days_ago=30)
    would = prune(store, folder, dry_run=True, completed=7)
    assert len(left(store)) == CHUNK + 5
    assert prune(store, folder, completed=7) == would
    assert would.jobs == {"completed": CHUNK + 5}
    assert left(store) == []


def test_a_chunk_is_small_and_a_walk_goes_on_where_it_was(store, folder, monkeypatch):
    monkeypatch.setattr(retention_module, "CHUNK", 3)
    monkeypatch.setattr(retention_module, "_WALKED", 4)
    kept = [a_job(store, days_ago=30, took=28) for _ in range(9)]
    for _ in range(7):
        a_job(store, days_ago=20)
    walk, sizes = Pruner(store, folder, Retention(completed=7), now=NOW), []
    while (some := walk.prune_some()) is not None:
        sizes.append(some.jobs.total())
    assert max(sizes) <= 3
    assert sum(sizes) == 7
    assert left(store) == kept


@pytest.mark.parametrize("status", ["pending", "running"])
def test_a_job_that_was_put_back_in_the_last_moment_stays(store, folder, status, monkeypatch):
    job_id = a_job(store, "failed", days_ago=30)
    walk = Pruner(store, folder, Retention(failed=7), now=NOW)
    found = walk._next

    def and_then_somebody_presses_retry(connection):
        ids = found(connection)
        store.retry(job_id)
        if status == "running":
            with store.changing() as changes:
                changes.claim([SEAT], backend="local", job_ids=[job_id])
        return ids

    monkeypatch.setattr(walk, "_next", and_then_somebody_presses_retry)
    assert walk.prune_some() == Removed()
    assert left(store) == [job_id]
    assert len(rows(store, lookups.logs)) > 3


@only_on_sqlite
@pytest.mark.parametrize("path", ["/etc/passwd", "../../app.db", "x" * 5000])
@pytest.mark.parametrize("number", ["1", "'../../victim'", "-1"])
def test_an_edited_attempt_leads_to_no_other_file(store, folder, tmp_path, path, number):
    job_id = a_job(store, days_ago=30)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    with store.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE job_attempts SET number = {number}, output_path = ?", (path,))
    assert prune(store, folder, completed=7).files == 0
    assert (victim.exists(), left(store)) == (True, [])
    assert job_id


@only_on_sqlite
def test_a_row_whose_times_nobody_can_read_is_kept(store, folder):
    job_id = a_job(store, days_ago=30)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE background_jobs SET created_at = 'x', completed_at = 'y'")
    a_job(store, days_ago=20)
    assert prune(store, folder, completed=7).jobs.total() == 1
    assert left(store) == [job_id]


# -- the log search -------------------------------------------------------------------------------------------


def index_all(store):
    with store.database.writing() as connection:
        while log_search.index_batch(connection, 100):
            pass


def proposed(store, term):
    with store.database.reading() as connection:
        return list(log_search.candidates(connection, term))


def found(store, term):
    with store.database.reading() as connection:
        return matching(connection, LogQuery(term=term)).ids


@only_on_sqlite
def test_the_index_forgets_what_is_removed_and_keeps_the_rest(store, folder):
    gone = [a_job(store, days_ago=30, method=f"éléphant{number}") for number in range(3)]
    kept = a_job(store, method="éléphant")
    index_all(store)
    late = a_job(store, days_ago=1, method="éléphant9")
    assert len(proposed(store, "éléphant")) == 4
    prune(store, folder, completed=7)
    of_kept = [row.id for row in rows(store, lookups.logs) if row.background_job_id == kept]
    assert [number for number in proposed(store, "éléphant") if number not in of_kept] == []
    assert len(proposed(store, "ÉLÉPHANT")) == 1
    assert len(found(store, "éléphant")) == 2
    index_all(store)
    assert len(proposed(store, "éléphant")) == 2
    assert (gone, late) != ([], 0)


@only_on_sqlite
@pytest.mark.parametrize("edited", ["'another text'", "NULL || ''", "x'c3'", "''"])
def test_a_ghost_of_an_edited_record_is_found_by_nobody(store, folder, edited):
    a_job(store, days_ago=30, method="elephant")
    kept = a_job(store, method="elephant")
    index_all(store)
    with store.database.writing() as connection:
        connection.execute(
            text(f"UPDATE job_logs SET message = coalesce({edited}, '') WHERE background_job_id < {kept}")
        )
    prune(store, folder, completed=7)
    (only,) = found(store, "elephant")
    assert only in [row.id for row in rows(store, lookups.logs) if row.background_job_id == kept]
    assert a_job(store, method="elephant")
    index_all(store)
    assert len(found(store, "elephant")) == 2


@only_on_sqlite
def test_without_the_index_the_jobs_go_all_the_same(store, folder):
    a_job(store, days_ago=30)
    with store.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE job_logs_search")
    assert prune(store, folder, completed=7).jobs.total() == 1


# -- when the supervisor does it --------------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(retention_module, "time", clock)
    return clock


def test_a_calm_supervisor_prunes_at_once_and_then_every_minute(store, folder, clock):
    caretaker = Caretaker(store, folder, Retention(count=1))
    for _ in range(3):
        a_job(store)
    caretaker.work(is_busy=False)
    assert len(left(store)) == 1
    a_job(store)
    clock.now += 59
    caretaker.work(is_busy=False)
    assert len(left(store)) == 2
    clock.now += 1
    caretaker.work(is_busy=False)
    assert len(left(store)) == 1


def test_a_supervisor_that_is_never_calm_prunes_a_little_after_ten_minutes(store, folder, clock, monkeypatch):
    monkeypatch.setattr(retention_module, "CHUNK", 2)
    caretaker = Caretaker(store, folder, Retention(count=1))
    for _ in range(6):
        a_job(store)
    sizes = []
    for _ in range(604):
        caretaker.work(is_busy=True)
        sizes.append(len(left(store)))
        clock.now += 1
    assert sizes[599:] == [6, 4, 2, 1, 1]


def test_without_a_limit_nothing_is_even_looked_at(store, folder, monkeypatch):
    caretaker = Caretaker(store, folder, Retention())
    monkeypatch.setattr(caretaker, "_new_walk", None)
    caretaker.work(is_busy=False)


def test_every_status_is_either_kept_for_ever_or_can_end():
    assert set(ENDED) == set(STATUSES) - {"pending", "running"}
