"""The page about scale says what the figures of the benchmark say, and its arithmetic is right."""

from __future__ import annotations

import json
import sys

import pytest
from snippets import HOUSE

sys.path.insert(0, str(HOUSE))  # the benchmark is no package that is installed

from bench.report import BEGIN, END
from bench.scale import Host, Job, Way, carries, markdown, plot, ways

RESULTS = json.loads((HOUSE / "bench" / "results.json").read_text())


@pytest.mark.parametrize(
    ("way", "host", "job", "expected"),
    [
        (Way("", cost=0.01), Host(2, 4), Job(), (200, "CPU")),
        (Way("", cost=0.01), Host(8, 4), Job(), (800, "CPU")),
        (Way("", cost=0.01, supervisor=0.002), Host(8, 4), Job(), (500, "supervisor")),
        (Way("", cost=0.01, supervisor=0.002), Host(2, 4), Job(waits=1), (4, "processes")),
        (Way("", cost=0.01, supervisor=0.002), Host(2, 400), Job(waits=1), (200, "CPU")),
        (Way("", cost=0.01), Host(2, 4), Job(computes=0.03), (50, "CPU")),
    ],
)
def test_the_least_of_three_limits(way: Way, host: Host, job: Job, expected: tuple[float, str]) -> None:
    rate, limit = carries(way, host, job)
    assert (pytest.approx(rate), limit) == expected


def test_the_page_has_the_tables_and_the_plot_of_the_figures() -> None:
    page = (HOUSE / "docs" / "scale.md").read_text()
    assert page.split(BEGIN)[1].split(END)[0].strip() == markdown(RESULTS).strip()
    assert (HOUSE / "docs" / "scale.svg").read_text() == plot(RESULTS)


def test_what_it_foretells_is_what_was_measured() -> None:
    """The other burst, of jobs that compute, was not used to count: it must come out right by itself."""
    for system, way in zip(("bgjobs", "bgjobs-reused"), ways(RESULTS), strict=False):
        measured = sorted(found["systems"][system]["work"]["per_second"] for found in RESULTS["rounds"])
        rate, _ = carries(way, Host(RESULTS["machine"]["cpus"], 1 << 20), Job(computes=0.005))
        assert rate == pytest.approx(measured[len(measured) // 2], rel=0.25)
