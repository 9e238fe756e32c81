"""The limits of a job, its relatives, the runs before it, and what became of it when it is gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pages import Element, parsed
from sites import PARTIAL, Site

from bgjobs.dashboard.job.attempts import ending_of
from bgjobs.dashboard.job.facts import limit_facts
from bgjobs.dashboard.job.runs import HEIGHT, runs_of

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def page_of(site: Site, job_id: int) -> Element:
    return parsed(site.get(f"/dashboard/jobs/{job_id}").text).one("main")


def facts(page: Element) -> dict[str, str]:
    rows = page.one("dl", class_="facts").all("div")
    return {row.one("dt").words: row.one("dd").words for row in rows}


@pytest.mark.parametrize(
    ("timeout", "limits", "expected"),
    [
        (None, None, {}),
        (90, None, {"Timeout": "1 m 30 s"}),
        (None, {"memory": 512 * 2**20, "nice": 10, "output_max": 2048},
         {"Memory": "512.0 MiB at the most", "Output": "the newest 2.0 KiB are kept", "Nice": "10"}),
        ("x", {"memory": "nonsense", "nice": -4, "odd": 1}, {"Timeout": "–"}),
        (None, "nonsense", {}),
        (None, [1], {}),
    ],
)  # fmt: skip
def test_limits(timeout: Any, limits: Any, expected: dict[str, str]) -> None:
    assert {fact.name: fact.text for fact in limit_facts(timeout, limits)} == expected


def test_limits_and_pauses_are_among_the_facts(site: Site) -> None:
    job_id = site.dispatch("slow", memory="64M", timeout=60)
    site.change(job_id, status="running", paused_at=datetime.now(UTC), paused_by="ada <b>", paused_seconds=12.0)
    found = facts(page_of(site, job_id))
    assert found["Memory"] == "64.0 MiB at the most"
    assert found["Timeout"] == "1 m 00 s"
    assert found["Paused"].startswith("just now by ada <b> ")
    assert found["Was paused"] == "12 s in all"
    site.change(job_id, status="completed")
    assert "Paused" not in facts(page_of(site, job_id))


@pytest.mark.parametrize(
    ("outcome", "exit_status", "error", "words"),
    [
        ("lost", -9, "", "Killed by signal 9 (SIGKILL) – often out of memory."),
        ("lost", -9, "killed by signal 9 (SIGKILL) by the kernel: out of memory", ""),
        ("cancelled", -9, "", "Killed by signal 9 (SIGKILL)."),
        ("timed_out", -9, "JobTimedOut", "Killed by signal 9 (SIGKILL)."),
        ("lost", -11, "", "Killed by signal 11 (SIGSEGV)."),
        ("lost", 3, "", "The process left with exit status 3 before the job was done."),
        ("completed", 0, "", ""),
        (None, -9, "", ""),
        ("failed", "x", "", ""),
        ("lost", -99, "", "Killed by signal 99 (unknown)."),
    ],
)
def test_how_a_process_ended(outcome: Any, exit_status: Any, error: str, words: str) -> None:
    assert ending_of(outcome, exit_status, error) == words


def test_put_back_is_explained(site: Site) -> None:
    job_id = site.dispatch()
    site.add_attempt(job_id, outcome="released")
    attempt = page_of(site, job_id).one("details", id="attempt-1")
    assert "Put back" in attempt.words
    assert "The job was put back in the line, and this counts as no retry." in attempt.words


def test_a_retry_and_what_it_is_a_retry_of(site: Site) -> None:
    first, second, third = (site.dispatch() for _ in range(3))
    for job_id in (second, third):
        site.change(job_id, retry_of=first)
    page = page_of(site, first)
    assert facts(page)["Retried as"] == f"#{third} #{second}"
    assert page.one("dl").one("a", href=f"/dashboard/jobs/{second}").words == f"#{second}"
    assert facts(page_of(site, second))["Retry of"] == f"#{first}"
    site.execute("UPDATE background_jobs SET retry_of = 'x'")
    assert site.get(f"/dashboard/jobs/{first}").status_code == 200


def test_retries_are_found_by_an_index(site: Site) -> None:
    with site.state.store.database.reading() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT id FROM background_jobs WHERE retry_of = 5 ORDER BY id DESC LIMIT 5"
        ).all()
    assert "ix_background_jobs_retry_of" in plan[0][3]


# -- the runs before ---------------------------------------------------------------------------------


def run(id: int, seconds: float | None, status: Any = "completed") -> Any:
    ended = None if seconds is None else NOW + timedelta(seconds=seconds)
    return SimpleNamespace(
        id=id, status=status, retry_count=0, scheduled_at=NOW, started_at=NOW, completed_at=ended
    )


@pytest.mark.parametrize(
    ("rows", "expected", "longest"),
    [
        ([run(2, 4), run(1, 2)], [(1, HEIGHT / 2), (2, HEIGHT)], "4.0 s"),
        ([run(2, 10_000), run(1, 0.005)], [(1, 3), (2, HEIGHT)], "2 h 46 m"),
        ([run(1, None, "running")], [(1, 3)], ""),
        ([run(1, -5)], [(1, 3)], ""),
        ([run(1, 0)], [(1, 3)], ""),
    ],
)
def test_bars_of_the_runs_before(rows: list[Any], expected: list[Any], longest: str) -> None:
    found = runs_of(rows, NOW)
    assert found is not None
    assert [(bar.id, bar.height) for bar in found.bars] == expected
    assert found.longest == longest


def test_words_of_the_runs_before() -> None:
    found = runs_of([run(3, None, "running"), run(2, 3, "failed"), run(1, 1, b"odd")], NOW)
    assert found is not None
    assert [bar.words for bar in found.bars] == ["#1 b'odd', took 1.0 s", "#2 Failed, took 3.0 s", "#3 Running"]
    assert [bar.look for bar in found.bars] == ["pending", "failed", "running"]
    assert runs_of([], NOW) is None


def test_the_twenty_runs_before_lead_to_their_pages(site: Site) -> None:
    ids = [site.dispatch() for _ in range(25)]
    other = site.dispatch("slow")
    page = page_of(site, ids[-1])
    links = [link.attributes["href"] for link in page.one("ol", class_="runs").all("a")]
    assert links == [f"/dashboard/jobs/{number}" for number in ids[4:24]]
    assert not page_of(site, other).all("ol", class_="runs")
    tag = site.get(f"/dashboard/jobs/{ids[-1]}", headers=PARTIAL).headers["HX-PTag"]
    site.change(ids[10], status="completed")
    assert site.get(f"/dashboard/jobs/{ids[-1]}", headers=PARTIAL).headers["HX-PTag"] != tag


# -- removed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({}, "Somebody deleted it."),
        ({"BGJOBS_RETENTION_COMPLETED": 30}, "Somebody deleted it, or it had ended more than 30 days ago."),
        (
            {"BGJOBS_RETENTION_COMPLETED": 7, "BGJOBS_RETENTION_FAILED": 30},
            "Somebody deleted it, or it had ended more than 7 or 30 days ago.",
        ),
    ],
)
def test_a_job_that_was_removed(make_site: Callable[..., Site], config: dict[str, Any], why: str) -> None:
    site = make_site(**config)
    ids = [site.dispatch() for _ in range(3)]
    site.execute("DELETE FROM background_jobs")
    for job_id in ids:  # the newest that ever was, too
        for path in (f"/dashboard/jobs/{job_id}", f"/dashboard/_/jobs/{job_id}/usage"):
            response = site.get(path, headers=PARTIAL if "usage" in path else {})
            assert response.status_code == 404
            assert f"Job #{job_id} was removed" in response.text
            assert why in response.text
    never = site.get(f"/dashboard/jobs/{ids[-1] + 1}")
    assert never.status_code == 404
    assert f"There is no job #{ids[-1] + 1}" in never.text


def test_a_job_of_a_database_that_never_had_one(site: Site) -> None:
    assert "There is no job #1" in site.get("/dashboard/jobs/1").text
