"""Why a job does not run: each condition by itself, with the rows and the files that there really are."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bgjobs import ExampleJob, lookups, pausing
from bgjobs.exceptions import JobNotFound
from bgjobs.processes.identity import own_identity
from bgjobs.supervisor.status import SupervisorStatus
from bgjobs.why import AHEAD_MOST, Reason, obstacle, why

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
CONDITIONS = [
    "It is pending",
    "Its time has come",
    "Its queue is open",
    "The tables are of this version",
    "A supervisor is at work",
    "The application can be loaded",
    "A slot is free",
    "No other job is before it",
    "Its class and method are approved",
]


@pytest.fixture
def site(make_site):
    """Jobs stay pending."""
    return make_site(ExampleJob, backend="local")


def supervise(site, **told):
    """Let this process look like the supervisor."""
    mine = own_identity()
    status = SupervisorStatus(
        host=mine.host,
        boot_id=mine.boot_id,
        pid_namespace=mine.pid_namespace,
        pid=mine.pid,
        process_started=mine.started,
        started_at="2030-01-01T11:00:00+00:00",
        database="sqlite://",
        backend="local",
        processes=told.pop("processes", 2),
        start_method="fork",
        **told,
    )
    Path(site.state.folder.status).write_text(json.dumps(asdict(status)))


def dispatch(site, *, when=NOW - timedelta(seconds=1), **options):
    job_id = site.dispatch(ExampleJob, "run", {}, **options).id
    edit(site, job_id, scheduled_at=f"{when:%Y-%m-%d %H:%M:%S.%f}")
    return job_id


def edit(site, job_id, **values):
    names = ", ".join(f"{name} = ?" for name in values)
    site.query(f"UPDATE background_jobs SET {names} WHERE id = {job_id}", *values.values())


def asked(site, job_id) -> Reason:
    reasons = why(site.state, job_id, now=NOW)
    assert [reason.condition for reason in reasons] == CONDITIONS[: len(reasons)]
    found = obstacle(reasons)
    assert found is not None
    return found


def run(site, number):
    seats = [
        {"host": "h", "boot_id": "b", "pid_namespace": "n", "pid": n, "process_started": "9"}
        for n in range(number)
    ]
    with site.state.store.changing() as changes:
        return changes.claim(seats, backend="local", now=NOW - timedelta(minutes=5))


def test_nothing_stands_in_its_way(site):
    supervise(site)
    reasons = why(site.state, dispatch(site), now=NOW)
    assert obstacle(reasons) is None
    assert [reason.condition for reason in reasons] == CONDITIONS
    assert all(reason.holds and reason.words for reason in reasons)


def test_there_is_no_such_job(site):
    for number in (999, 2**70):
        with pytest.raises(JobNotFound):
            why(site.state, number)


@pytest.mark.parametrize(
    ("values", "words", "remedy"),
    [
        ({"status": "running", "started_at": "2030-01-01 11:59:00"}, "It runs, and was started a minute ago.", ""),
        (
            {"status": "running", "started_at": "2030-01-01 11:59:00", "paused_at": "2030-01-01 11:59:10"},
            "It was started a minute ago, and is paused.",
            "Run: flask bgjobs resume {id}",
        ),
        ({"status": "completed", "completed_at": "2030-01-01 10:00:00"}, "It completed 2 hours ago.", ""),
        (
            {"status": "failed", "completed_at": "2030-01-01 10:00:00"},
            "It failed 2 hours ago.",
            "To run it again: flask bgjobs retry {id}",
        ),
        (
            {"status": "cancelled", "completed_at": "no time"},
            "It was cancelled at a time that cannot be read.",
            "To run it again: flask bgjobs retry {id}",
        ),
        (
            {"status": "\x1b[2J"},
            "Its status is \\x1b[2J, which is none: somebody edited the row.",
            "Delete the row.",
        ),
    ],
)
def test_it_is_not_pending(site, values, words, remedy):
    job_id = dispatch(site)
    edit(site, job_id, **values)
    assert why(site.state, job_id, now=NOW) == [Reason("It is pending", False, words, remedy.format(id=job_id))]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scheduled_at": "2030-01-01 12:03:00"}, "It is scheduled in 3 minutes, at 2030-01-01 12:03:00 UTC."),
        (
            {"scheduled_at": "2030-01-01 12:00:30", "retry_count": 2},
            "Retry 2 is due in 30 seconds, at 2030-01-01 12:00:30 UTC.",
        ),
        ({"scheduled_at": "tomorrow"}, "Its time cannot be read: somebody edited the row."),
    ],
)
def test_its_time_has_not_come(site, values, words):
    supervise(site)
    job_id = dispatch(site)
    edit(site, job_id, **values)
    found = asked(site, job_id)
    assert (found.condition, found.words) == ("Its time has come", words)


def test_its_queue_is_paused(site):
    supervise(site)
    job_id = dispatch(site, queue="mail")
    pausing.pause_queue(site.state.store, "mail", by="ada\x1b")
    found = asked(site, job_id)
    assert found.condition == "Its queue is open"
    assert found.words.startswith("The queue mail was paused by ada\\x1b ")
    assert found.remedy == "Resume it: flask bgjobs resume-queue mail"


def test_a_name_of_a_queue_is_no_command(site):
    job_id = dispatch(site)
    edit(site, job_id, queue="a; rm -rf b")
    site.query("INSERT INTO bgjobs_paused_queues VALUES ('a; rm -rf b', '2030-01-01 11:00:00', NULL)")
    assert asked(site, job_id).remedy == "Resume it: flask bgjobs resume-queue 'a; rm -rf b'"


@pytest.mark.parametrize(
    ("revision", "remedy"), [("0000", "Run: flask bgjobs upgrade"), ("9999", "Update flask-bgjobs.")]
)
def test_the_tables_are_of_another_version(site, revision, remedy):
    supervise(site)
    job_id = dispatch(site)
    site.query("UPDATE bgjobs_version SET version_num = ?", revision)
    found = asked(site, job_id)
    assert (found.condition, found.remedy) == ("The tables are of this version", remedy)


def test_nobody_runs_jobs_and_nobody_will(site):
    found = asked(site, dispatch(site))
    assert found.condition == "A supervisor is at work"
    assert "BGJOBS_AUTOSTART is off" in found.words
    assert found.remedy == "Start one: flask bgjobs supervise"


def test_nobody_runs_jobs_yet(make_site):
    site = make_site(ExampleJob, backend="local")
    job_id = dispatch(site)
    object.__setattr__(site.state.settings, "autostart", True)
    found = asked(site, job_id)
    assert "one starts with the next job" in found.words
    assert found.remedy == "If none stays, ask why: flask bgjobs doctor"


@pytest.mark.parametrize(
    ("status", "log", "said"),
    [
        (None, "first\nlast words \x1b[31m\n\n", "The last one said: last words \\x1b[31m"),
        ({"warning": "the disk is full"}, "its log\n", "The last one said: the disk is full"),
        ({"app_error": "no module shop\nat all"}, "", "The last one said: no module shop\\x0aat all"),
        (None, "postgresql://u:secret@h is gone\n", "The last one said: postgresql://••••••@h is gone"),
    ],
)
def test_the_last_words_of_the_one_that_is_gone(site, status, log, said):
    job_id = dispatch(site)
    if status is not None:
        supervise(site, **status)
        told = json.loads(Path(site.state.folder.status).read_text())
        Path(site.state.folder.status).write_text(json.dumps({**told, "process_started": "1"}))
    Path(site.state.folder.log).write_text(log)
    assert asked(site, job_id).words.endswith(said)


def test_jobs_that_run_where_they_are_dispatched_are_taken_up_by_nobody_else(make_site):
    site = make_site(ExampleJob)
    job_id = site.dispatch(ExampleJob, "run", {}).id
    edit(site, job_id, status="pending", scheduled_at="2030-01-01 11:00:00")
    found = asked(site, job_id)
    assert (found.condition, "BGJOBS_BACKEND" in found.remedy) == ("A supervisor is at work", True)


def test_the_application_cannot_be_loaded(site):
    supervise(site, app_error="No module named 'shop'\n")
    found = asked(site, dispatch(site))
    assert found.condition == "The application can be loaded"
    assert found.words.endswith("No module named 'shop'\\x0a")


def test_all_slots_are_busy(site):
    supervise(site)
    first, second, waiting = (dispatch(site, when=NOW - timedelta(hours=hours)) for hours in (9, 8, 7))
    run(site, 1)
    found = obstacle(why(site.state, waiting, now=NOW))
    assert found is not None
    assert found.condition == "No other job is before it"  # one slot is free
    run(site, 1)
    found = asked(site, waiting)
    assert found.condition == "A slot is free"
    assert found.words == (
        f"All 2 slots are busy, the longest with #{first} ExampleJob::run (5 minutes), "
        f"#{second} ExampleJob::run (5 minutes)."
    )


def test_jobs_of_the_application_itself_take_no_slot(site):
    supervise(site, processes=1)
    first, waiting = dispatch(site, when=NOW - timedelta(hours=9)), dispatch(site)
    run(site, 1)
    edit(site, first, backend="inline")
    assert obstacle(why(site.state, waiting, now=NOW)) is None


def test_others_are_before_it(site):
    supervise(site)
    job_id = dispatch(site)
    dispatch(site, priority=5, when=NOW - timedelta(hours=9))  # less urgent
    dispatch(site, when=NOW)  # due for a shorter time
    dispatch(site, priority=-1, when=NOW + timedelta(hours=1))  # not due
    assert obstacle(why(site.state, job_id, now=NOW)) is None
    dispatch(site, priority=-1, when=NOW)
    found = asked(site, job_id)
    assert found.words == "1 job is before it, more urgent or due for longer."
    dispatch(site, when=NOW - timedelta(hours=1))
    assert asked(site, job_id).words == "2 jobs are before it, more urgent or due for longer."


def test_many_others_are_not_counted_to_the_end(site):
    supervise(site)
    job_id = dispatch(site)
    columns = ", ".join(name for name in lookups.jobs.c.keys() if name not in ("id", "priority"))  # noqa: SIM118
    site.query(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO background_jobs "
        f"(priority, {columns}) SELECT -1, {columns} FROM background_jobs, n WHERE id = ?",
        AHEAD_MOST + 1,
        job_id,
    )
    assert asked(site, job_id).words == "More than 1,000 jobs are before it, more urgent or due for longer."


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"class_name": "os.path"}, "os.path is not an approved job class"),
        ({"class_name": b"\x00"}, "is not an approved job class"),
        ({"method_name": "__init__"}, "that is not the name of a public method"),
        ({"method_name": "gone"}, "it is not among the methods of this class"),
        ({"method_name": "fail", "parameters": '{"unknown": 1}'}, "they do not fit"),
        ({"parameters": "no JSON"}, "As it is now, it would fail"),
    ],
)
def test_it_would_fail_at_once(site, values, words):
    supervise(site)
    job_id = dispatch(site)
    edit(site, job_id, **values)
    found = asked(site, job_id)
    assert found.condition == "Its class and method are approved"
    assert words in found.words


@pytest.mark.parametrize(
    ("values", "condition"),
    [
        ({"priority": "soon"}, "No other job is before it"),
        ({"queue": b"\xff"}, None),
        ({"parameters": "x" * 10_000_000}, "Its class and method are approved"),
    ],
)
def test_a_row_that_somebody_edited_is_an_answer_not_an_error(site, values, condition):
    supervise(site)
    job_id = dispatch(site)
    edit(site, job_id, **values)
    found = obstacle(why(site.state, job_id, now=NOW))
    assert (found and found.condition) == condition
    assert all(len(reason.words) < 1000 for reason in why(site.state, job_id, now=NOW))


def test_the_claim_is_made_of_the_conditions_that_are_told(site):
    """Whatever is in the list is in the claim's query, and nothing else is: the whole of its WHERE."""
    statement = lookups._first_of(lookups.select(lookups.jobs.c.id))
    assert list(statement._where_criteria) == list(lookups.CLAIMABLE.values())
    for prepared in (lookups._DUE, lookups._DUE_FIRST, lookups._IDS_DUE):
        (criteria,) = {tuple(prepared._statement._where_criteria[1:])}
        assert list(criteria) == list(lookups.CLAIMABLE.values())


@pytest.mark.parametrize(
    "values",
    [
        {"queue": "other"},
        {"scheduled_at": "2030-01-01 12:00:00.000001"},
        {"scheduled_at": "2030-01-01 12:00:00.000000"},
        {"scheduled_at": "zzz"},
        {"queue": "mail"},
        {"status": "failed"},
        {"priority": 7.5},
    ],
)
def test_who_is_told_that_nothing_is_in_the_way_is_claimed_and_nobody_else(site, values):
    supervise(site)
    job_id = dispatch(site)
    pausing.pause_queue(site.state.store, "mail")
    edit(site, job_id, **values)
    told = obstacle(why(site.state, job_id, now=NOW))
    with site.state.store.database.reading() as connection:
        claimed = [row.id for row in lookups.due(connection, 1, NOW)]
    assert (claimed == [job_id]) == (told is None), told
    pausing.resume_queue(site.state.store, "mail")
