"""The application changes while its supervisor is at work (F28), or cannot be forked (F30)."""

from __future__ import annotations

from real_site import MakeSite, moment_of
from waiting import monotonic, until

# From the edit, by the promise 2 s, and the time that the application takes to load.
NEW_CODE_WITHIN = 2.0 + 3.0
RESUMES_WITHIN = 5.0


def test_a_job_after_an_edit_runs_the_new_code(make_site: MakeSite) -> None:
    site = make_site()
    running = site.dispatch("Plain.hold", {"gate": "old"})
    site.until_noted(running)
    assert site.run("Plain.answer").result == "old"
    supervisor = site.until_supervised()
    site.edit("jobs", '        return "old"', '        return "new"')
    # The promise is the next job or two seconds; in between one may go to a process that was ready.
    until(lambda: site.run("Plain.answer").result == "new", NEW_CODE_WITHIN, what="the new code runs")
    after = site.until_supervised()
    assert after.pid == supervisor.pid
    assert site.row(running.id).status == "running"
    site.open_gate("old")
    (row,) = site.wait(running)
    assert (row.status, row.attempt) == ("completed", 1)
    until(lambda: site.until_supervised().fork_server_pid != supervisor.fork_server_pid)


def test_a_syntax_error_leaves_jobs_pending_until_it_is_corrected(make_site: MakeSite) -> None:
    site = make_site()
    site.run("Plain.nothing")
    supervisor = site.until_supervised().pid
    site.edit("jobs", '        return "old"', "        return (")
    status = site.until_told(lambda status: bool(status.app_error))
    jobs = [site.dispatch("Plain.answer") for _ in range(3)]
    assert status.pid == supervisor
    assert "SyntaxError" in status.app_error  # type: ignore[operator]
    assert "jobs.py" in status.app_error  # type: ignore[operator]
    rows = [site.row(job.id) for job in jobs]
    assert [(row.status, row.attempt, row.retry_count) for row in rows] == [("pending", 0, 0)] * 3
    assert "SyntaxError" in site.app.test_cli_runner().invoke(args=["bgjobs", "status"]).output
    site.edit("jobs", "        return (", '        return "corrected"')
    corrected_at = monotonic()
    rows = site.wait(*jobs)
    assert moment_of(rows[0].started_at) - corrected_at <= RESUMES_WITHIN
    assert [(row.status, row.attempt, row.result) for row in rows] == [("completed", 1, "corrected")] * 3
    site.until_told(lambda status: status.app_error is None)


def test_an_application_that_fails_from_the_start_is_tried_again(make_site: MakeSite) -> None:
    site = make_site()
    path = site.source("__init__")
    good = path.read_text()
    path.write_text(good + "\nraise RuntimeError('no configuration')\n")
    job = site.dispatch("Plain.nothing")
    status = site.until_told(lambda status: bool(status.app_error))
    assert "RuntimeError: no configuration" in status.app_error  # type: ignore[operator]
    assert site.row(job.id).attempt == 0
    path.write_text(good)
    assert site.wait(job)[0].status == "completed"


def test_a_thread_at_import_makes_jobs_start_as_fresh_interpreters(make_site: MakeSite) -> None:
    site = make_site(processes=1)
    add_thread(site.source("__init__"))
    row = site.run("Plain.nothing")
    assert row.status == "completed"
    status = site.until_told(lambda status: status.start_method == "spawn")
    assert "starts threads while it loads (at import)" in status.warning  # type: ignore[operator]
    assert "@jobs.after_fork" in status.warning  # type: ignore[operator]


def test_with_the_start_method_fork_it_forks_all_the_same(make_site: MakeSite) -> None:
    site = make_site(processes=1, start_method="fork")
    add_thread(site.source("__init__"))
    row = site.run("Plain.nothing")
    assert row.status == "completed"
    status = site.until_told(lambda status: bool(status.warning))
    assert status.start_method == "fork"
    assert "because BGJOBS_START_METHOD is fork" in status.warning  # type: ignore[operator]


def add_thread(path) -> None:  # type: ignore[no-untyped-def]
    """What many libraries do. This process has loaded the application without it."""
    path.write_text(
        path.read_text()
        + "\nimport threading\n"
        + "threading.Thread(target=threading.Event().wait, name='at import', daemon=True).start()\n"
    )
