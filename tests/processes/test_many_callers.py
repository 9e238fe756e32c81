"""F34: many threads of the application dispatch while jobs run, and each job runs once."""

from __future__ import annotations

import threading

from real_site import MakeSite

from bgjobs import JobHandle

THREADS, EACH = 20, 25


def test_what_many_threads_dispatch_at_the_same_time_runs_once_each(make_site: MakeSite) -> None:
    site = make_site()
    handles: list[JobHandle] = []
    errors: list[Exception] = []
    together = threading.Barrier(THREADS)

    def request() -> None:
        together.wait()
        try:
            handles.extend([site.dispatch("Plain.nothing") for _ in range(EACH)])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=request) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len({job.id for job in handles}) == len(site.query("SELECT id FROM background_jobs")) == THREADS * EACH
    rows = site.wait(*handles, seconds=60)
    assert {(row.status, row.attempt, row.retry_count) for row in rows} == {("completed", 1, 0)}
    for what in ("start", "end"):
        assert sorted(event.job for event in site.events(what=what)) == sorted(job.id for job in handles)
