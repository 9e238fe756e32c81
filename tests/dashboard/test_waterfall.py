"""The way of a job as a bar: which steps, how wide, and in which words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pages import parsed
from sites import Site

from bgjobs.dashboard.job.waterfall import LEAST_ATTEMPT, LEAST_WAIT, WIDTH, spread, steps_of, waterfall_of

START = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def job(**values: Any) -> Any:
    usual = {"created_at": START, "status": "completed", "attempt": 1, "paused_at": None, "paused_seconds": None}
    return SimpleNamespace(**{**usual, **values})


def attempt(number: Any, start: Any, end: Any, outcome: Any = "completed") -> Any:
    started, ended = (at(it) if isinstance(it, int | float) else it for it in (start, end))
    return SimpleNamespace(number=number, started_at=started, ended_at=ended, outcome=outcome)


def told(job_row: Any, *attempts: Any, now: float = 100) -> list[tuple[str, str, float]]:
    """The steps; ``attempts`` in the order in which they were made."""
    return [(step.look, step.words, step.seconds) for step in steps_of(job_row, attempts[::-1], at(now))]


@pytest.mark.parametrize(
    ("row", "attempts", "expected"),
    [
        (job(), [attempt(1, 0.12, 3.5)], [("wait", "Waited", 0.12), ("completed", "Attempt 1", 3.38)]),
        (job(), [attempt(1, 0, 1)], [("completed", "Attempt 1", 1)]),
        (
            job(attempt=2),
            [attempt(1, 1, 2, "failed"), attempt(2, 7, 9)],
            [("wait", "Waited", 1), ("failed", "Attempt 1", 1), ("wait", "Waited for the retry", 5),
             ("completed", "Attempt 2", 2)],
        ),
        (
            job(attempt=2),
            [attempt(1, 0, 2, "released"), attempt(2, 3, 4)],
            [("released", "Attempt 1", 2), ("wait", "Waited, put back", 1), ("completed", "Attempt 2", 1)],
        ),
        (job(status="pending", attempt=0), [], [("wait", "Waiting", 100)]),
        (
            job(status="pending"),
            [attempt(1, 0, 90, "timed_out")],
            [("timed_out", "Attempt 1", 90), ("wait", "Waiting for the retry", 10)],
        ),
        (
            job(status="running"),
            [attempt(1, 10, None, None)],
            [("wait", "Waited", 10), ("running", "Attempt 1", 90)],
        ),
        (
            job(status="running", paused_at=at(40)),
            [attempt(1, 10, None, None)],
            [("wait", "Waited", 10), ("running", "Attempt 1", 30), ("pause", "Paused", 60)],
        ),
        (
            job(attempt=25),
            [attempt(24, 50, 51, "failed"), attempt(25, 60, 61)],
            [("earlier", "23 earlier attempts", 50), ("failed", "Attempt 24", 1),
             ("wait", "Waited for the retry", 9), ("completed", "Attempt 25", 1)],
        ),
        # clocks that were set back, and rows that somebody edited
        (job(), [attempt(1, 5, 3)], [("wait", "Waited", 5), ("completed", "Attempt 1", 0)]),
        (job(), [attempt(1, -5, 3)], [("completed", "Attempt 1", 3)]),
        (job(created_at=None), [attempt(1, 5, 6)], [("completed", "Attempt 1", 1)]),
        (job(created_at="soon"), [], []),
        (job(), [attempt(1, None, None)], []),
        (job(), [attempt("x", 1, "y", b"z")], [("wait", "Waited", 1), ("b'z'", "Attempt 0", 0)]),
        (job(), [attempt(1, 1, None, None)], [("wait", "Waited", 1), ("None", "Attempt 1", 0)]),
        (job(status="pending"), [attempt(1, 0, 500, "failed")], [("failed", "Attempt 1", 500)]),
        (job(status="running", paused_at=at(500)), [attempt(1, 0, None, None)],
         [("running", "Attempt 1", 100), ("pause", "Paused", 0)]),
    ],
)  # fmt: skip
def test_steps(row: Any, attempts: list[Any], expected: list[tuple[str, str, float]]) -> None:
    found = told(row, *attempts)
    assert [(look, words) for look, words, _ in found] == [(look, words) for look, words, _ in expected]
    assert [seconds for _, _, seconds in found] == pytest.approx([seconds for _, _, seconds in expected])


@pytest.mark.parametrize(
    ("parts", "least", "expected"),
    [
        ([1, 3], [0, 0], [25, 75]),
        ([1, 99], [10, 10], [10, 90]),
        ([0.005, 259_200, 0.005], [20, 6, 20], [20, 60, 20]),  # three days between two moments
        ([0, 0], [10, 10], [50, 50]),
        ([0, 5], [10, 10], [10, 90]),
        ([1, 1, 8], [15, 5, 5], [15, 85 / 9, 680 / 9]),
        ([5], [10], [100]),
        ([1, 2], [150, 50], [75, 25]),  # no room
        ([], [], []),
    ],
)
def test_widths(parts: list[float], least: list[float], expected: list[float]) -> None:
    found = spread(parts, least, 100)
    assert found == pytest.approx(expected)
    assert sum(found) == pytest.approx(100 if parts else 0)


@pytest.mark.parametrize("wait", [0.000001, 1, 60, 3600, 3 * 86_400, 1e9])
@pytest.mark.parametrize("work", [0, 0.005, 1, 3600])
def test_every_step_can_be_seen(wait: float, work: float) -> None:
    rows, end = [], 0.0
    for number in range(1, 21):
        rows.append(attempt(number, end + wait, end + wait + work, "failed"))
        end += wait + work
    found = waterfall_of(job(attempt=20), rows[::-1], at(end))
    assert found is not None
    assert len(found.bars) == 40
    for bar, after in zip(found.bars, [*found.bars[1:], None], strict=True):
        assert bar.width >= (LEAST_WAIT if bar.attempt is None else LEAST_ATTEMPT) - 0.1
        assert bar.x + bar.width == pytest.approx(after.x if after else WIDTH, abs=0.2)


def test_words_and_exact_times() -> None:
    row = job(status="running", attempt=2, paused_seconds=12.0)
    found = waterfall_of(row, [attempt(2, 5, None, None), attempt(1, 0.12, 0.125, "failed")], at(65))
    assert found is not None
    _, first, wait, second = found.bars
    assert first.title == "Attempt 1: 5 ms from 24 Nov 2026, 12:00:00.120"
    assert (first.icon, first.outcome) == ("cross", "failed")
    assert (wait.words, wait.outcome) == ("Waited for the retry", "")
    assert (second.end.text, second.note, second.since) == ("now", "paused 12 s of it", "2026-11-24T12:00:05Z")
    assert not found.is_to_scale
    even = waterfall_of(job(), [attempt(1, 10, 20)], at(20))
    assert even is not None
    assert even.is_to_scale


@pytest.mark.parametrize("outcome", ["odd", None, "", b"\xff", 5])
def test_an_unknown_outcome_is_drawn(outcome: Any) -> None:
    found = waterfall_of(job(), [attempt(1, 1, 2, outcome)], at(3))
    assert found is not None
    assert found.bars[1].look == "unknown"


def test_on_the_page(site: Site) -> None:
    job_id = site.dispatch()
    site.add_attempt(job_id, 1, outcome="failed")
    section = parsed(site.get(f"/dashboard/jobs/{job_id}").text).one("section", class_="way")
    assert len(section.all("rect")) == len(section.one("tbody").all("tr")) == len(section.all("li"))
    assert section.one("a", href="#attempt-1").words == "Attempt 1"
    assert "Attempt 1, failed" in section.one("table").words
