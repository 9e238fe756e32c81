"""S4: whoever can write to the table gets nothing imported, nothing called that is not approved."""

import json
import pickle
import sys
from datetime import UTC, datetime

import pytest

from bgjobs import lookups
from bgjobs.backends.inline import InlineBackend
from bgjobs.exceptions import JobRunnerException
from bgjobs.processes.identity import own_identity
from bgjobs.records import job_with_story, newest_jobs
from bgjobs.runner.outcome import Outcome

called, imported = [], []


def _watch(event, args):
    if event == "import" and imported and imported[0] == "watching":
        imported.append(args[0])


sys.addaudithook(_watch)


class Explosive:
    def __reduce__(self):
        return called.append, ("unpickled",)


PICKLE = pickle.dumps(Explosive())


class Job:
    def run(self, *args, **kwargs):
        called.append("run")
        return "ran"

    def _private(self):
        called.append("private")

    def __init__(self):
        called.append("init")


class NotApproved:
    def run(self):
        called.append("not approved")


CLASS, METHOD = "test_edited_rows.Job", "run"
DEEP = "[" * 900 + "]" * 900
DEEPER = "[" * 100_000 + "]" * 100_000


class Sql(str):
    """An expression instead of a value."""


BROKEN_UTF8 = Sql("CAST(X'ff80fe' AS TEXT)")

# column, value, what becomes of the job: it fails, or it is completed because the edit says nothing about
# what may run
EDITS = [
    *[
        ("class_name", value, "failed")
        for value in (
            "os.system",
            "os",
            "antigravity",
            "antigravity.Flight",
            "xmlrpc.server.SimpleXMLRPCServer",
            "test_edited_rows.NotApproved",
            "builtins.eval",
            f"{CLASS}.__init__",
            f"{CLASS}\n",
            f"{CLASS}\0",
            CLASS.upper(),
            "",
            "x" * 1_000_000,
            PICKLE,
            CLASS.encode(),
            5,
            BROKEN_UTF8,
        )
    ],
    *[
        ("method_name", value, "failed")
        for value in (
            "__init__",
            "_private",
            "missing",
            "run\n",
            "run\0",
            "",
            "x" * 1_000_000,
            PICKLE,
            b"run",
            5,
            BROKEN_UTF8,
        )
    ],
    *[
        ("parameters", value, "failed")
        for value in (
            "not json",
            '{"a":',
            "",
            "5",
            '"text"',
            "null",
            "true",
            "[NaN]",
            "NaN",
            "[Infinity]",
            "[1e999]",
            "[1" + "0" * 5000 + "]",
            "[9223372036854775808]",
            '["\\ud800"]',
            '["\\u0000"]',
            json.dumps(["x" * 1_000_000]),
            json.dumps([0] * 100_000),
            DEEP,
            '{"a":' * 500 + "1" + "}" * 500,
            DEEPER,
            PICKLE,
            pickle.dumps({"a": 1}, protocol=0).decode(),
            b"\xff\xfe",
            Sql("NULL"),
            5,
            BROKEN_UTF8,
        )
    ],
    ("parameters", '{"a":1,"a":2}', "completed"),
    ("parameters", b'{"a": 1}', "completed"),
    *[
        ("retry_count", value, "failed")
        for value in (-1, -(2**63), 4, 10**9, 2**63 - 1, "x", "", 2.5, PICKLE, BROKEN_UTF8)
    ],
    *[("max_retries", value, "failed") for value in (-1, 10**9, 2**63 - 1, "x", 2.5, PICKLE)],
    *[("attempt", value, "completed") for value in (-1, 2**63 - 1, 10**12, "x", 2.5, PICKLE)],
    *[
        ("retry_delay", value, "completed")
        for value in (
            "x",
            "",
            "[]",
            "{}",
            "-1",
            '"5"',
            "1" + "0" * 400,
            "NaN",
            "Infinity",
            DEEP,
            DEEPER,
            "[5, null]",
            PICKLE,
        )
    ],
    *[("timeout", value, "completed") for value in ("x", "", -1, 0, Sql("9e999"), Sql("-9e999"), PICKLE, 10**18)],
    *[
        (column, value, "completed")
        for column in ("scheduled_at", "created_at", "updated_at", "started_at", "completed_at")
        for value in (
            "garbage",
            "",
            5,
            1e300,
            "9999-99-99 00:00:00",
            "2030-01-01T00:00:00+05:00",
            PICKLE,
            "x" * 10**6,
            BROKEN_UTF8,
        )
    ],
    *[("priority", value, "completed") for value in ("x", 2**62, 1.5, PICKLE, BROKEN_UTF8)],
    *[("queue", value, "completed") for value in ("", "x" * 10**6, "\x1b[2J\n", PICKLE, 5, BROKEN_UTF8)],
    *[("result", value, "completed") for value in ("not json", DEEPER, PICKLE, "NaN", BROKEN_UTF8)],
    *[("error_message", value, "completed") for value in (5, PICKLE, "\x1b[2J", BROKEN_UTF8)],
    *[("progress_message", value, "completed") for value in (5, PICKLE, BROKEN_UTF8)],
    *[("progress_done", value, "completed") for value in ("x", Sql("9e999"), PICKLE)],
    *[
        (column, value, "completed")
        for column in ("pid", "exit_status", "peak_rss", "cpu_seconds")
        for value in ("x", 2**63 - 1, -1, PICKLE)
    ],
    *[
        (column, value, "completed")
        for column in ("execution_token", "backend", "host", "boot_id", "process_started", "pid_namespace")
        for value in ("x" * 10**6, 5, PICKLE, BROKEN_UTF8)
    ],
    *[("cancel_requested_at", value, "completed") for value in (Sql("NULL"),)],
]


def edit(site, job_id, column, value):
    if isinstance(value, Sql):
        site.query(f"UPDATE background_jobs SET {column} = {value} WHERE id = ?", job_id)
    else:
        site.query(f"UPDATE background_jobs SET {column} = ? WHERE id = ?", value, job_id)


@pytest.fixture(scope="module")
def site(make_site):
    """Jobs stay pending here until a test runs them."""
    site = make_site(Job, backend="local")
    run(site, site.dispatch(Job, "run").id)
    return site


def run(site, job_id):
    InlineBackend(site.state).dispatched([job_id])


def look_at_everything(site, job_id):
    """What the dashboard, the command line and the supervisor ask of a database."""
    with site.state.store.database.reading() as connection:
        lookups.counts(connection)
        lookups.next_due(connection)
        lookups.has_pending(connection)
        lookups.cancel_requests(connection)
        lookups.due(connection, 3, datetime.now(UTC))
        for row in lookups.running(connection):
            lookups.execution_of(row, token=row.execution_token, attempt=1)
        json.dumps(newest_jobs(connection, 5, None, site.state.redactor))
        json.dumps(job_with_story(connection, job_id, site.state.redactor))


@pytest.mark.parametrize(
    ("column", "value", "becomes"),
    EDITS,
    ids=[f"{edit[0]}-{ascii(edit[1])[:25]}-{n}" for n, edit in enumerate(EDITS)],
)
def test_an_edited_row(site, column, value, becomes):
    handle = site.dispatch(Job, "run")
    edit(site, handle.id, column, value)
    called.clear()
    look_at_everything(site, handle.id)
    imported[:] = ["watching"]
    run(site, handle.id)
    assert imported == ["watching"]
    imported.clear()
    assert called == (["init", "run"] if becomes == "completed" else [])
    assert handle.refresh().status == becomes
    look_at_everything(site, handle.id)
    if becomes == "failed":
        assert handle.error_message
        assert len(handle.error_message) < 2_000
        assert handle.error_message.isprintable()
        outcomes = [attempt["outcome"] for attempt in site.attempts(handle.id)]
        assert outcomes == ["failed"]
        kinds = [kind for kind, _ in site.story(handle.id)]
        assert kinds == ["success"] * 4 + ["failure"]
    assert max(len(record.message) for record in handle.logs()) < 10_000


@pytest.mark.parametrize(
    "column", ["class_name", "method_name", "parameters", "retry_delay", "scheduled_at", "status", "priority"]
)
def test_a_poisoned_row_does_not_keep_the_others_from_being_claimed(make_site, column):
    site = make_site(Job, backend="local")
    poisoned = site.dispatch(Job, "run")
    good = [site.dispatch(Job, "run").id for _ in range(3)]
    for value in (BROKEN_UTF8, PICKLE, DEEP, DEEPER, 2**63 - 1):
        edit(site, poisoned.id, column, value)
        seats = [own_identity().columns()] * 10
        with site.state.store.changing() as changes:
            claimed = changes.claim(seats, backend="local")
            assert set(good) <= {execution.id for execution in claimed}
            for execution in claimed:
                json.dumps(execution.to_json())  # it crosses a channel
            changes.finish([(execution, Outcome("released")) for execution in claimed])


@pytest.mark.parametrize(
    ("value", "is_claimed"),
    [
        ("x", False),
        ("", False),
        (PICKLE, False),
        (BROKEN_UTF8, False),
        (-(2**62), True),
        (1.5, True),
        (1e300, True),
    ],
)
@pytest.mark.parametrize("most", [1, 10])
def test_a_job_alone_is_claimed_only_if_its_priority_is_a_number(make_site, value, is_claimed, most):
    site = make_site(Job, backend="local")
    handle = site.dispatch(Job, "run")
    edit(site, handle.id, "priority", value)
    with site.state.store.changing() as changes:
        claimed = changes.claim([own_identity().columns()] * most, backend="local")
    assert [execution.id for execution in claimed] == ([handle.id] if is_claimed else [])


@pytest.mark.parametrize("status", ["exploded", "PENDING", "pending ", "", 5, PICKLE, BROKEN_UTF8])
def test_a_row_of_an_unknown_status_is_left_alone(site, status):
    handle = site.dispatch(Job, "run")
    edit(site, handle.id, "status", status)
    called.clear()
    run(site, handle.id)
    assert called == []
    look_at_everything(site, handle.id)
    for action in (site.state.store.cancel, site.state.store.retry):
        with pytest.raises(JobRunnerException):
            action(handle.id)
    handle.refresh()
    assert handle.wait(0.1) is handle  # it is not one that is still to end


def test_a_running_row_with_a_forged_token_is_not_ours_to_end(site):
    handle = site.dispatch(Job, "run")
    with site.state.store.changing() as changes:
        (execution,) = changes.claim([own_identity().columns()], backend="local", job_ids=[handle.id])
    edit(site, handle.id, "execution_token", "forged")
    with site.state.store.changing() as changes:
        assert changes.finish([(execution, Outcome("completed"))]) == {}
    assert handle.refresh().status == "running"


def test_a_class_whose_approval_was_withdrawn_fails_without_a_retry(make_site):
    site = make_site(Job, backend="local")
    handle = site.dispatch(Job, "run")
    del site.state.approval._classes[CLASS]
    run(site, handle.id)
    assert handle.refresh().status == "failed"
    assert "not an approved job class" in handle.error_message
    assert handle.retry_count == 0


def test_a_claimed_row_is_checked_again_by_the_runner_and_the_reason_is_kept(site):
    handle = site.dispatch(Job, "run")
    edit(site, handle.id, "class_name", "os.system")
    run(site, handle.id)
    handle.refresh()
    assert handle.error_message.startswith("ClassNotApproved: os.system is not an approved job class")
    attempt = site.attempts(handle.id)[0]
    assert attempt["exception_type"] == "ClassNotApproved"
    assert site.row(handle.id).class_name == "os.system"
