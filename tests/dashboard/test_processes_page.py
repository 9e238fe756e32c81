"""The page of the processes: whose process a row means, what it uses, and who starts the jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pages import Element, parsed
from sites import PARTIAL, Site
from sqlalchemy import insert

from bgjobs.dashboard import actions
from bgjobs.dashboard.processes.queries import SHOWN, running_jobs
from bgjobs.dashboard.processes.table import STEPS
from bgjobs.dashboard.processes.usage import Gauge, Usage, identity_in, judgement_of
from bgjobs.processes.identity import own_identity
from bgjobs.samples import samples
from bgjobs.supervisor.status import SupervisorStatus

PAGE = "/dashboard/processes"
CHILD = "import sys; print('up', flush=True); sys.stdin.read()"


@pytest.fixture
def child() -> Iterator[int]:
    """A process that lives as long as the test."""
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate()


def run(site: Site, **values: Any) -> int:
    """A job that seems to run in this very process."""
    job_id = site.dispatch("run", {"to": "ada", "password": "hush-hush"})
    here = {"status": "running", "backend": "local", "attempt": 1, "started_at": datetime.now(UTC)}
    site.change(job_id, **{**here, **own_identity().columns(), **values})
    return job_id


def sample(site: Site, job_id: int, **values: Any) -> None:
    row = {"attempt": 1, "at": datetime.now(UTC), "cpu": 37.6, "rss": 64 * 2**20, "threads": 3, "children": 2}
    with site.state.store.database.writing() as connection:
        connection.execute(insert(samples).values({**row, "background_job_id": job_id, **values}))


def row_of(site: Site, job_id: int) -> dict[str, str]:
    row = parsed(site.get(PAGE).text).one("tr", id=f"job-{job_id}")
    return {str(cell.attributes.get("data-label")): cell.words for cell in row.all("td")}


def status(site: Site, **values: Any) -> SupervisorStatus:
    me = own_identity()
    given = {
        "host": me.host, "boot_id": me.boot_id, "pid_namespace": me.pid_namespace, "pid": me.pid,
        "process_started": me.started, "started_at": "2026-11-24T10:00:00+00:00", "database": "sqlite:////x/app.db",
        "backend": "local", "processes": 8, "start_method": "fork", "version": "1.2.3",
    }  # fmt: skip
    told = SupervisorStatus(**{**given, **values})
    told.write(site.state.folder)
    return told


def section(site: Site, title: str) -> str:
    found = [it for it in parsed(site.get(PAGE).text).all("section") if it.attributes["aria-labelledby"] == title]
    return found[0].words if found else ""


# -- jobs --------------------------------------------------------------------------------------------


def test_nothing_runs(site: Site) -> None:
    main = parsed(site.get(PAGE).text).one("main")
    assert "No job is running" in main.words
    assert "None is running, so pending jobs wait. Start one: flask bgjobs supervise" in main.words
    assert not main.all("table")


def test_what_the_newest_sample_says(site: Site) -> None:
    job_id = run(site, progress_done=3, progress_total=4)
    sample(site, job_id, cpu=1.0, at=datetime(2026, 1, 1, tzinfo=UTC))
    sample(site, job_id)
    found = row_of(site, job_id)
    assert (found["CPU"], found["Memory"], found["Threads"], found["Children"]) == ("38 %", "64.0 MiB", "3", "2")
    assert found["Process"] == str(os.getpid())
    assert found["Progress"] == "75 %"


def test_a_sample_of_another_attempt_is_not_this_one(site: Site) -> None:
    job_id = run(site, attempt=2)
    sample(site, job_id, attempt=1)
    assert row_of(site, job_id)["CPU"] == "–"


def test_without_a_sample_the_process_itself_is_looked_at(site: Site, child: int) -> None:
    job_id = run(site)
    found = row_of(site, job_id)
    assert found["CPU"] == "–"  # a share takes two looks
    assert found["Memory"].endswith("iB")
    assert int(found["Children"]) >= 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"process_started": "1"}, "is gone"),
        ({"boot_id": "another"}, "is gone"),
        ({"pid": 2**22 + 1}, "is gone"),
        ({"pid": None, "process_started": None}, "is gone"),
        ({"process_started": None}, "is gone"),
        ({"host": None}, "is gone"),
        ({"host": "worker-2"}, "on worker-2"),
        ({"pid_namespace": "pid:[1]"}, "on "),
        ({"backend": "inline"}, "is the application itself"),
        ({"paused_at": datetime.now(UTC)}, "is held up"),
        ({"cancel_requested_at": datetime.now(UTC)}, "was asked to stop"),
    ],
)
def test_whose_process_it_is(site: Site, values: dict[str, Any], words: str) -> None:
    job_id = run(site, **values)
    found = row_of(site, job_id)
    assert words in found["Process"]
    if words == "is gone":  # a pid that was used again is never measured
        assert (found["Memory"], found["Threads"]) == ("–", "–")


def test_of_a_job_that_is_gone_an_old_sample_says_nothing(site: Site) -> None:
    job_id = run(site, process_started="1")
    sample(site, job_id)
    assert row_of(site, job_id)["Memory"] == "–"


def test_a_job_of_another_host_is_known_by_its_samples(site: Site) -> None:
    job_id = run(site, host="worker-2")
    sample(site, job_id)
    assert row_of(site, job_id)["Memory"] == "64.0 MiB"


def test_the_looks_take_no_longer_than_they_may() -> None:
    own, late = own_identity(), Gauge(seconds=-1)
    assert late.read(own) == Usage()
    assert Gauge(seconds=60).read(own).rss
    assert Gauge().read(replace(own, started="1")) == Usage()


@pytest.mark.parametrize("name", ["host", "boot_id", "pid_namespace", "process_started", "pid"])
@pytest.mark.parametrize("value", [None, b"x", 1.5, "12"])
def test_an_identity_that_somebody_edited_is_none(name: str, value: Any) -> None:
    class Row:
        pass

    row = Row()
    for column, own in own_identity().columns().items():
        setattr(row, column, own)
    assert judgement_of(identity_in(row)) == "alive"
    setattr(row, name, value)
    assert judgement_of(identity_in(row)) != "alive"


def test_hostile_rows_are_text(site: Site) -> None:
    job_id = run(site)
    site.execute(
        "UPDATE background_jobs SET class_name = '<b>', method_name = :bad, host = '<i>', pid = 'x', "
        "process_started = x'00', progress_done = 'much', progress_total = x'ff', started_at = 'then', "
        "progress_message = 'hush-hush', attempt = 'one', paused_at = 'once'",
        bad="\x1b[31m</a><script>",
    )
    site.execute(
        "INSERT INTO job_samples (background_job_id, attempt, at, cpu, rss, threads, children) "
        "VALUES (1, 'one', 'then', 'hot', 'big', x'00', '<b>')"
    )
    text = site.get(PAGE).text
    assert f"#{job_id}" in text
    for bad in ("<script>", "<i>", "hush-hush", "\x1b"):
        assert bad not in text.replace("<script src", "").replace("<script defer", "")
    assert parsed(text).one("tr", id="job-1").one("th").words == "#1 <b>::\\x1b[31m</a><script>"


def test_many_running_jobs_are_shown_in_part_and_quickly(site: Site) -> None:
    """16 ms for the hundred (measured)."""
    run(site)
    names = ", ".join(name for name in site.row(1)._mapping if name != "id")
    site.execute(
        f"INSERT INTO background_jobs ({names}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        f"WHERE i < 300) SELECT {names} FROM n, background_jobs"
    )
    assert len(parsed(site.get(PAGE).text).one("tbody").all("tr")) == SHOWN
    assert f"The {SHOWN} oldest of 301 are shown." in site.get(PAGE).text
    started = time.monotonic()
    site.get(PAGE)
    assert time.monotonic() - started < 1


def test_samples_are_looked_up_and_not_read(site: Site) -> None:
    job_id = run(site)
    for _ in range(5):
        sample(site, job_id)
    asked: list[str] = []
    with site.state.store.database.reading() as connection:
        driver: Any = connection.connection.dbapi_connection
        driver.set_trace_callback(asked.append)
        running_jobs(connection)
        driver.set_trace_callback(None)
        plans = [
            step.detail
            for statement in asked
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
        ]
    assert [plan for plan in plans if "ix_job_samples_job" in plan]
    assert not [plan for plan in plans if "SCAN job_samples" in plan or "TEMP B-TREE" in plan]


# -- buttons -----------------------------------------------------------------------------------------


def press(site: Site, job_id: int, action: str, **headers: str) -> Any:
    client = site.client()
    form = parsed(client.get(PAGE).text).one("main").all("form")[0]
    token = form.all("input", name="csrf_token")[0].attributes["value"]
    return client.post(f"{PAGE}/{job_id}/{action}", data={"csrf_token": token}, headers=headers)


def test_cancel_comes_back_to_the_processes(site: Site) -> None:
    job_id, other = run(site), run(site)
    form: Element = parsed(site.get(PAGE).text).one("tr", id=f"job-{job_id}").all("form")[0]
    assert form.attributes["hx-confirm"] == (
        f"Ask job #{job_id} to stop? It gets SIGTERM, then SIGKILL if it still runs after 10 s."
    )
    response = press(site, job_id, "cancel")
    assert (response.status_code, response.location) == (303, PAGE)
    assert site.row(job_id).cancel_requested_at is not None
    assert "was asked to stop" in row_of(site, job_id)["Process"]
    fragment = press(site, other, "cancel", **PARTIAL)
    assert fragment.status_code == 200
    assert f'id="job-{other}"' in fragment.text
    assert "<html" not in fragment.text


def test_only_what_can_be_done_has_a_button(site: Site) -> None:
    run(site)
    names = {
        str(form.attributes["action"]).rpartition("/")[2]
        for form in parsed(site.get(PAGE).text).one("main").all("form")
    }
    assert names == set(STEPS) == {"cancel", "kill"} & set(actions.ON_A_JOB)


def test_too_late_or_never_there(site: Site) -> None:
    run(site)
    ended = site.dispatch()
    site.change(ended, status="completed")
    assert press(site, ended, "cancel").status_code == 409
    assert press(site, 999, "cancel").status_code == 404
    assert site.client().post(f"{PAGE}/1/cancel").status_code == 403


@pytest.mark.parametrize(("answer", "acts"), [({"cancel"}, True), ({"queues", "retry"}, False), ("read", False)])
def test_the_right_to_cancel(make_site: Callable[..., Site], answer: Any, acts: bool) -> None:
    allowed: list[Any] = ["all"]
    site = make_site(BGJOBS_DASHBOARD_ACCESS=lambda request: allowed[0])
    job_id, client = run(site), site.client()
    token = parsed(client.get(PAGE).text).one("main").all("input", name="csrf_token")[0].attributes["value"]
    allowed[0] = answer
    assert bool(parsed(client.get(PAGE).text).one("main").all("form")) is acts
    done = client.post(f"{PAGE}/{job_id}/cancel", data={"csrf_token": token})
    assert done.status_code == (303 if acts else 403)
    assert (site.row(job_id).cancel_requested_at is not None) is acts


# -- the supervisor ----------------------------------------------------------------------------------


def test_the_supervisor_and_its_fork_server(site: Site, child: int) -> None:
    status(site, fork_server_pid=child, warning="https://ada:secret@host is slow")
    words = section(site, "supervisor-title")
    for expected in (f"pid {os.getpid()}", "8", "fork", "local", "1.2.3", "sqlite:////x/app.db", "MiB"):
        assert expected in words
    words = section(site, "fork-server-title")
    assert f"pid {child}" in words
    assert words.endswith("Waiting processes0")
    text = site.get(PAGE).text
    assert "is slow" in text
    assert "secret" not in text


def test_a_fork_server_that_is_not_its_child_is_nobody(site: Site) -> None:
    status(site, fork_server_pid=os.getpid())
    assert section(site, "fork-server-title") == ""
    status(site, fork_server_pid=2**22 + 1)
    assert section(site, "fork-server-title") == ""


@pytest.mark.parametrize(
    ("config", "values", "words"),
    [
        ({}, {"process_started": "1"}, "so pending jobs wait"),
        ({"BGJOBS_AUTOSTART": True}, {"process_started": "1"}, "One comes with the next job"),
        ({}, {"host": "worker-2"}, "worker-2, which cannot be looked at from here"),
        ({"BGJOBS_BACKEND": "inline"}, {}, "so there is no supervisor"),
    ],
)
def test_no_supervisor_here(
    make_site: Callable[..., Site], config: dict[str, Any], values: dict[str, Any], words: str
) -> None:
    site = make_site(**config)
    status(site, **values)
    assert words in section(site, "supervisor-title")


@pytest.mark.parametrize(
    "values", [{"started_at": 7}, {"started_at": "then"}, {"pid": "x"}, {"processes": ["<b>"]}]
)
def test_a_status_file_that_somebody_edited(site: Site, values: dict[str, Any]) -> None:
    status(site, **values)
    assert site.get(PAGE).status_code == 200


def test_an_unchanged_page_is_not_sent_again(site: Site) -> None:
    job_id = run(site, host="worker-2")  # what its process uses is not looked at
    sample(site, job_id)
    client = site.client()
    client.get(PAGE)
    tag = client.get(PAGE, headers=PARTIAL).headers["HX-PTag"]
    assert client.get(PAGE, headers={**PARTIAL, "HX-PTag": tag}).status_code == 304
    sample(site, job_id, cpu=90.0)
    assert client.get(PAGE, headers={**PARTIAL, "HX-PTag": tag}).status_code == 200
