"""From numbers to geometry: what the charts are drawn of, as tables."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask, render_template_string
from pages import parsed
from sites import Site

from bgjobs.dashboard.axes import Label, Tick, plain, round_steps, tick_at, time_ticks, to_the_minute
from bgjobs.dashboard.charts import (
    MOST_POINTS,
    WIDTH,
    Series,
    bars,
    lines,
    sparkline,
    thinned,
)

ATTACK = "</title><script>alert(1)</script>\" onload='x"


@pytest.mark.parametrize(
    ("most", "options", "steps"),
    [
        (0, {}, [0, 0.5, 1]),
        (1, {}, [0, 0.5, 1]),
        (4, {}, [0, 1, 2, 3, 4]),
        (5, {}, [0, 2, 4, 6]),
        (41, {}, [0, 20, 40, 60]),
        (100, {}, [0, 50, 100]),
        (0.03, {}, [0, 0.01, 0.02, 0.03]),
        (1234, {}, [0, 500, 1000, 1500]),
        (1e9, {}, [0, 5e8, 1e9]),
        (1, {"whole": True}, [0, 1]),
        (3, {"whole": True}, [0, 1, 2, 3]),
        (10, {"count": 2}, [0, 5, 10]),
        (-3, {}, [0, 0.5, 1]),
        (math.nan, {}, [0, 0.5, 1]),
        (math.inf, {}, [0, 0.5, 1]),
    ],
)
def test_round_steps(most: float, options: dict[str, bool], steps: list[float]) -> None:
    assert round_steps(most, **options) == pytest.approx(steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("most", [10**n * factor for n in range(-6, 12) for factor in (1, 1.7, 3, 9.99)])
def test_round_steps_reach_the_highest_value_and_are_few(most: float) -> None:
    steps = round_steps(most)
    assert steps[-1] >= most * 0.999999
    assert 2 <= len(steps) <= 6


NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (1, ["11:10", "11:20", "11:30", "11:40", "11:50"]),
        (6, ["07:00", "08:00", "09:00", "10:00", "11:00"]),
        (24, ["18:00", "00:00", "06:00"]),
        (168, ["26 Jan", "28 Jan", "30 Jan"]),
    ],
)
def test_time_ticks(hours: int, words: list[str]) -> None:
    ticks = time_ticks(NOON - timedelta(hours=hours), NOON)
    assert [tick.text for tick in ticks] == words
    assert all(0 < tick.at < 100 for tick in ticks)


def test_time_ticks_stand_at_their_time() -> None:
    assert tick_at(50.0, to_the_minute(NOON - timedelta(minutes=30))) in time_ticks(
        NOON - timedelta(hours=1), NOON
    )
    assert time_ticks(NOON, NOON) == []


def named(*texts: str) -> list[Label]:
    return [Label(text) for text in texts]


def boxes(path: str) -> list[tuple[float, ...]]:
    """Left, top, width and height of each box of a path."""
    return [
        tuple(map(float, found)) for found in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z", path)
    ]


def test_bars_stand_on_each_other() -> None:
    chart = bars(
        named("12:00", "12:01"),
        [Series("Done", "completed", [3, 0]), Series("Failed", "failed", [1, 2])],
        height=100,
    )
    done, failed = (boxes(shape.path) for shape in chart.shapes)
    assert done == [(30.0, 25.0, 240.0, 75.0)]
    assert failed == [(30.0, 0.0, 240.0, 25.0), (330.0, 50.0, 240.0, 50.0)]
    assert [tick.text for tick in chart.ticks] == ["1", "2", "3", "4"]
    assert [tick.at for tick in chart.ticks] == [75, 50, 25, 0]
    assert [point.text for point in chart.points] == ["12:00: Done 3, Failed 1", "12:01: Failed 2"]
    assert [(point.left, point.width) for point in chart.points] == [(0, 50), (50, 50)]
    assert [(line.label.text, line.values) for line in chart.table] == [
        ("12:00", ("3", "1")),
        ("12:01", ("0", "2")),
    ]


def test_a_point_without_anything_is_neither_drawn_nor_told() -> None:
    chart = bars(named("a", "b"), [Series("x", "first", [0, 1])])
    assert [line.label.text for line in chart.table] == ["b"]
    assert len(boxes(chart.shapes[0].path)) == 1
    nothing = bars(named("a", "b"), [Series("x", "first", [0, 0])])
    assert (nothing.is_empty, nothing.points, nothing.shapes[0].path) == (True, (), "")


@pytest.mark.parametrize("value", [math.nan, math.inf, -5.0, None])
def test_what_is_no_amount_is_no_bar(value: float | None) -> None:
    chart = bars(named("a", "b"), [Series("x", "first", [value, 2])])
    assert len(boxes(chart.shapes[0].path)) == 1
    assert "nan" not in chart.shapes[0].path + str(chart.ticks)


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ([0, 2, 4], "M100 100h0L300 50L500 0"),
        ([4, None, 0], "M100 0h0M500 100h0"),
        ([None, 4, 4], "M300 0h0L500 0"),
        ([math.nan, 4, math.inf], "M300 0h0"),
        ([None, None, None], ""),
        ([-1, 4, None], "M100 100h0L300 0"),
    ],
)
def test_a_line_has_gaps(values: list[float | None], path: str) -> None:
    assert lines(named("a", "b", "c"), [Series("x", "first", values)], height=100).shapes[0].path == path


def test_points_of_a_line_stand_where_they_are_told() -> None:
    chart = lines(named("a", "b", "c"), [Series("x", "first", [1, 1, 1])], places=[0, 0.25, 1], height=100)
    assert chart.shapes[0].path == f"M0 0h0L{WIDTH // 4} 0L{WIDTH} 0"
    assert [(point.left, point.width) for point in chart.points] == [(0, 12.5), (12.5, 50), (62.5, 37.5)]


def test_an_axis_in_a_unit() -> None:
    mib = 2**20
    chart = lines(
        named("a"), [Series("x", "first", [180.0 * mib])], unit=mib, words=lambda value: f"{value / mib:g} MiB"
    )
    assert [tick.text for tick in chart.ticks] == ["50 MiB", "100 MiB", "150 MiB", "200 MiB"]
    low = lines(named("a"), [Series("x", "first", [0.1])], least_top=100)
    assert low.ticks[-1].text == "100"


def test_a_chart_has_few_points_and_series() -> None:
    with pytest.raises(ValueError, match="120 points"):
        bars(named("a") * 121, [Series("x", "first", [1] * 121)])
    with pytest.raises(ValueError, match="4 series"):
        lines(named("a"), [Series("x", "first", [1])] * 5)
    with pytest.raises(ValueError, match="a value of each"):
        lines(named("a", "b"), [Series("x", "first", [1])])


@pytest.mark.parametrize("count", [0, 1, 2, 119, 120, 121, 300, 10_000])
def test_thinned(count: int) -> None:
    points = list(range(count))
    kept = thinned(points)
    assert len(kept) == min(count, MOST_POINTS)
    assert kept == sorted(set(kept))
    assert count == 0 or (kept[0], kept[-1]) == (0, count - 1)


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ([], ""),
        ([5], "M0 0h0"),
        ([0, 0], "M0 20h0L80 20"),
        ([0, 5, None, 10], "M0 20h0L26.7 10M80 0h0"),
        ([math.nan], ""),
    ],
)
def test_sparkline(values: list[float | None], path: str) -> None:
    assert sparkline(values) == path


@pytest.mark.parametrize(("number", "words"), [(0, "0"), (1250, "1,250"), (0.5, "0.5"), (0.1 + 0.2, "0.3")])
def test_plain(number: float, words: str) -> None:
    assert plain(number) == words


# -- the drawing -------------------------------------------------------------------------------------

DRAW = """{% import "bgjobs/charts.html" as charts %}{{ charts.chart("c", title, title, chart, kind) }}"""


def drawn(app: Flask, **values: object) -> str:
    with app.app_context():
        return render_template_string(DRAW, **values)


@pytest.mark.parametrize("kind", ["bars", "lines"])
def test_a_drawing_says_the_same_in_words(site: Site, kind: str) -> None:
    make = bars if kind == "bars" else lines
    chart = make(
        named("12:00", "12:01"),
        [Series("Done", "completed", [3, 0.5]), Series("Failed", "failed", [1, 2])],
        times=[Tick("12:01", at=50)],
    )
    page = parsed(drawn(site.app, title="Jobs", chart=chart, kind=kind))
    svg = page.one("svg", role="img")
    its_words = svg.attributes["aria-labelledby"] or ""
    assert [
        page.one(tag, id=name).words for tag, name in zip(("title", "desc"), its_words.split(), strict=True)
    ] == [
        "Jobs",
        "Jobs",
    ]
    assert [rect.one("title").words for rect in svg.all("rect", class_="chart-point")] == [
        "12:00: Done 3, Failed 1",
        "12:01: Done 0.5, Failed 2",
    ]
    table = page.one("table")
    assert [head.words for head in table.one("thead").all("th", scope="col")] == ["Time (UTC)", "Done", "Failed"]
    assert [[cell.words for cell in row.all("td")] for row in table.one("tbody").all("tr")] == [
        ["3", "1"],
        ["0.5", "2"],
    ]
    assert [item.words for item in page.one("ul", class_="legend").all("li")] == ["Done", "Failed"]


def test_times_tell_the_browser_which_they_are(site: Site) -> None:
    moments = [NOON - timedelta(minutes=number) for number in (1, 0)]
    labels = [to_the_minute(moment) for moment in moments]
    times = time_ticks(NOON - timedelta(days=7), NOON)
    chart = bars(labels, [Series("Done", "completed", [3, 1])], times=times)
    page = parsed(drawn(site.app, title="Jobs", chart=chart, kind="bars"))
    for place in (page.all("title")[1], page.all("th", scope="row")[0]):
        assert place.attributes["data-at"] == f"{moments[0]:%Y-%m-%dT%H:%M:%SZ}"
        assert place.attributes["data-form"] == "minute"
    midnight = next(text for text in page.all("text") if text.words == times[0].text)
    assert midnight.attributes["data-midnight"] == str(times[0].at)
    assert midnight.attributes["data-day"] == "14.29"


@pytest.mark.parametrize("kind", ["bars", "lines"])
def test_series_differ_by_more_than_their_colour(site: Site, kind: str) -> None:
    make = bars if kind == "bars" else lines
    series = [Series(str(number), f"s{number}", [1, 2]) for number in range(4)]
    html = drawn(site.app, title="t", chart=make(named("a", "b"), series), kind=kind)
    if kind == "bars":
        assert len({pattern.text + str(pattern.children) for pattern in parsed(html).all("pattern")}) == 4
    else:
        assert len(set(re.findall(r'stroke-dasharray="([^"]*)" d="M\d+ \d', html))) == 4


@pytest.mark.parametrize("kind", ["bars", "lines"])
def test_hostile_words_stay_words(site: Site, kind: str) -> None:
    make = bars if kind == "bars" else lines
    chart = make(
        named(ATTACK), [Series(ATTACK, "first", [1])], words=lambda value: ATTACK, times=[Tick(ATTACK, at=5)]
    )
    html = drawn(site.app, title=ATTACK, chart=chart, kind=kind)
    page = parsed(html)
    assert page.all("script") == []
    assert not [name for element in page.all("svg") for name in element.attributes if name.startswith("on")]
    assert "style=" not in html
