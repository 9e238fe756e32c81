"""What is removed by hand: ended jobs alone, with all that belongs to them, and a record of who wanted it."""

import os
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from bgjobs import log_search, lookups, removal, samples
from bgjobs.custom_logger import CustomLogger
from bgjobs.database import Database
from bgjobs.models import STATUSES
from bgjobs.redaction import Redactor
from bgjobs.removal import CHUNK, last_removal, remove
from bgjobs.runner.outcome import Outcome
from bgjobs.state_folder import StateFolder
from bgjobs.store import NewJob, Store

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
SEAT = {"host": "h", "boot_id": "b", "pid_namespace": "n", "pid": 4711, "process_started": "99"}


@pytest.fixture
def state(tmp_path, empty_database):
    database = Database(f"sqlite:///{empty_database_copy(tmp_path, empty_database)}")
    store = Store(database, CustomLogger(str(tmp_path / "logs")), Redactor())
    yield SimpleNamespace(store=store, folder=StateFolder(str(tmp_path / "state")).prepare())
    database.dispose()


def empty_database_copy(tmp_path, empty_database):
    copy = tmp_path / "jobs.db"
    copy.write_bytes(empty_database.read_bytes())
    return copy


def some_jobs(state, number, status="completed"):
    with state.store.changing() as changes:
        new = NewJob("app.Job", "run", {}, NOW, "default", 0, 0, 3, 5.0, None)
        ids = changes.enqueue_all([new] * number, now=NOW)
    with state.store.changing() as changes:
        if status == "cancelled":
            for job_id in ids:
                changes.cancel(job_id, now=NOW)
        elif status != "pending":
            claimed = changes.claim([SEAT] * number, backend="local", job_ids=ids, now=NOW)
            if status != "running":
                changes.finish([(job, Outcome(status)) for job in claimed], now=NOW)
    return ids


def left(state, table=lookups.jobs, column="id"):
    with state.store.database.reading() as connection:
        return sorted(set(connection.scalars(table.select().with_only_columns(table.c[column]))))


def log_file(tmp_path):
    return (tmp_path / "logs" / "background_jobs.log").read_text()


@pytest.mark.parametrize("status", STATUSES)
def test_only_what_has_ended(state, status):
    (job_id,) = some_jobs(state, 1, status)
    removed = remove(state, [job_id], "ada")
    ended = status not in ("pending", "running")
    assert removed.jobs == ({status: 1} if ended else {})
    assert left(state) == ([] if ended else [job_id])


def test_all_that_belongs_to_it_goes_too_and_nothing_else(state, tmp_path):
    gone, kept = some_jobs(state, 2)
    with state.store.database.writing() as connection:
        for job_id in (gone, kept):
            sample = {"background_job_id": job_id, "attempt": 1, "at": NOW, "rss": 1, "threads": 1, "children": 0}
            connection.execute(samples.samples.insert().values(sample))
            (tmp_path / "state" / "output" / f"{job_id}-1.log").write_text("words")
        log_search.index_batch(connection, 1000)
    removed = remove(state, [gone], None)
    assert (removed.logs, removed.attempts, removed.samples, removed.files) == (5, 1, 1, 1)
    for table in (lookups.logs, lookups.attempts, samples.samples):
        assert left(state, table, "background_job_id") == [kept]
    assert os.listdir(tmp_path / "state" / "output") == [f"{kept}-1.log"]
    with state.store.database.reading() as connection:
        proposed = list(log_search.candidates(connection, "initiated"))
    assert len(proposed) == 1


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (None, "removed, with all"),
        ("ada", "removed by ada, with"),
        ("a\nFAILURE: x", "removed by a\\x0aFAILURE: x,"),
    ],
)
def test_the_log_file_says_who_wanted_it(state, tmp_path, by, said):
    (job_id,) = some_jobs(state, 1)
    remove(state, [job_id], by)
    last = log_file(tmp_path).splitlines()[-1]
    assert f"INFO: app.Job::run - Background job {job_id} {said}" in last


def test_ids_that_no_job_has(state):
    kept = some_jobs(state, 1, "pending")
    assert remove(state, [0, -1, 99, 2**63, 10**30, "1", None, True and 7.5], "x").jobs == {}
    assert left(state) == kept


def test_many_are_removed_in_several_transactions(state, monkeypatch):
    ids = some_jobs(state, 2 * CHUNK + 3)
    sizes, of_one = [], removal._remove
    monkeypatch.setattr(removal, "_remove", lambda c, ended, f: sizes.append(len(ended)) or of_one(c, ended, f))
    assert remove(state, iter(ids), None).jobs == {"completed": 2 * CHUNK + 3}
    assert sizes == [CHUNK, CHUNK, 3]
    assert left(state) == []


def test_each_removal_can_be_told_from_the_last(state):
    ids = some_jobs(state, 3)
    seen = set()
    for job_id in (ids[0], ids[1], 99):
        remove(state, [job_id], None)
        with state.store.database.reading() as connection:
            seen.add(last_removal(connection))
    assert len(seen) == 2
