"""Numbers as the geometry of a drawing: pure functions, for the macros in ``charts.html``.

A plot is stretched to the width that there is. What must not be stretched with it is placed by percent of the
width (words) or keeps its thickness (lines). Nothing here knows what the numbers mean: who draws says how one is
written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

from bgjobs.dashboard.axes import Label, Tick, plain, round_steps

__all__ = [
    "MOST_POINTS",
    "WIDTH",
    "Chart",
    "Label",
    "Series",
    "Tick",
    "bars",
    "lines",
    "plain",
    "sparkline",
    "thinned",
]

WIDTH = 600
"""Units across a plot. It is stretched to the width that there is."""
MOST_POINTS = 120
MOST_SERIES = 4

_GAP = 0.2  # of the width of a bar, between it and the next one


@dataclass(frozen=True, slots=True)
class Series:
    """Values in the order of the points. None is a gap in a line. ``style`` names colour and pattern, in words of
    the stylesheet: ``chart-<style>``."""

    name: str
    style: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """What is drawn of a series: the ``d`` of a path."""

    name: str
    style: str
    path: str


@dataclass(frozen=True, slots=True)
class Point:
    """A place across the whole height that tells its values: ``left`` and ``width`` are in percent."""

    left: float
    width: float
    text: str
    label: Label  # with which the text begins


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table that says the same as the drawing."""

    label: Label
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and the table beside it."""

    height: int
    shapes: tuple[Shape, ...]
    ticks: tuple[Tick, ...]
    times: tuple[Tick, ...]
    points: tuple[Point, ...]
    table: tuple[Line, ...]  # without the points at which there was nothing

    @property
    def is_empty(self) -> bool:
        return not self.table


Words = Callable[[float], str]


def bars(
    labels: Sequence[Label],
    series: Sequence[Series],
    *,
    height: int = 144,
    times: Sequence[Tick] = (),
    words: Words = plain,
) -> Chart:
    """Bars of equal width, the first series at the bottom of each and the others on top of it."""
    series = _checked(labels, series)
    columns = [[max(0.0, one.values[index] or 0.0) for one in series] for index in range(len(labels))]
    steps = round_steps(max((sum(column) for column in columns), default=0.0), whole=True)
    paths: list[list[str]] = [[] for _ in series]
    width = WIDTH / max(len(labels), 1)
    for index, column in enumerate(columns):
        left = width * (index + _GAP / 2)
        for path, value, top in zip(paths, column, accumulate(column), strict=True):
            if value > 0:
                high = height * value / steps[-1]
                path.append(_box(left, height * (1 - top / steps[-1]), width * (1 - _GAP), high))
    return Chart(
        height,
        tuple(Shape(one.name, one.style, "".join(path)) for one, path in zip(series, paths, strict=True)),
        _ticks(steps, height, words),
        tuple(times),
        _points(labels, _even(len(labels)), series, words),
        _table(labels, series, words, empty=(None, 0)),
    )


def lines(
    labels: Sequence[Label],
    series: Sequence[Series],
    *,
    places: Sequence[float] | None = None,
    height: int = 144,
    times: Sequence[Tick] = (),
    words: Words = plain,
    least_top: float = 0.0,
    unit: float = 1.0,
) -> Chart:
    """One line for each series, with gaps where a value is None.

    ``places`` says where the points stand, from 0 (left) to 1 (right); without it they are evenly spaced. The axis
    goes up to ``least_top`` at the least, in steps that are round in ``unit``.
    """
    series = _checked(labels, series)
    known = [value for one in series for value in one.values if value is not None]
    steps = [unit * step for step in round_steps(max((*known, least_top)) / unit)]
    spans = _even(len(labels)) if places is None else _around(places[: len(labels)])
    middles = [(left + right) / 2 for left, right in spans] if places is None else list(places)
    return Chart(
        height,
        tuple(Shape(one.name, one.style, _line(middles, one.values, steps[-1], WIDTH, height)) for one in series),
        _ticks(steps, height, words),
        tuple(times),
        _points(labels, spans, series, words),
        _table(labels, series, words, empty=(None,)),
    )


def sparkline(values: Sequence[float | None], *, width: int = 80, height: int = 20) -> str:
    """The path of a small line without axes; as high as its highest value."""
    values = _known(values[-MOST_POINTS:])
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    places = [index / max(len(values) - 1, 1) for index in range(len(values))]
    return _line(places, values, top, width, height)


def thinned(points: Sequence[Any], most: int = MOST_POINTS) -> list[Any]:
    """At most so many of the points, evenly taken; the first and the last stay."""
    if len(points) <= most:
        return list(points)
    return [points[round(index * (len(points) - 1) / (most - 1))] for index in range(most)]


def _checked(labels: Sequence[Label], series: Sequence[Series]) -> list[Series]:
    """The series with a gap wherever there is no number."""
    if len(labels) > MOST_POINTS or len(series) > MOST_SERIES:
        raise ValueError(f"a chart has {MOST_POINTS} points and {MOST_SERIES} series at the most")
    if any(len(one.values) != len(labels) for one in series):
        raise ValueError("each point of a chart has a label and a value of each series")
    return [replace(one, values=_known(one.values)) for one in series]


def _known(values: Sequence[float | None]) -> list[float | None]:
    return [value if value is not None and math.isfinite(value) else None for value in values]


def _box(left: float, top: float, width: float, height: float) -> str:
    return f"M{_short(left)} {_short(top)}h{_short(width)}v{_short(height)}h{_short(-width)}z"


def _line(places: Sequence[float], values: Sequence[float | None], top: float, width: float, height: float) -> str:
    """Pieces of a line. A point between two gaps is a stroke without length, which its round ends make a dot."""
    path, pen_is_down = [], False
    for place, value in zip(places, values, strict=False):
        if value is None:
            pen_is_down = False
            continue
        x, y = _short(width * place), _short(height * (1 - max(value, 0.0) / top))
        path.append(f"L{x} {y}" if pen_is_down else f"M{x} {y}h0")
        pen_is_down = True
    return "".join(path)


def _even(count: int) -> list[tuple[float, float]]:
    """As many stretches of the same length, from 0 to 1."""
    return [(index / count, (index + 1) / count) for index in range(count)]


def _around(places: Sequence[float]) -> list[tuple[float, float]]:
    """For each place the stretch that is nearer to it than to the others."""
    middles = [(left + right) / 2 for left, right in pairwise(places)]
    return list(zip([0.0, *middles], [*middles, 1.0], strict=True)) if places else []


def _ticks(steps: Sequence[float], height: int, words: Words) -> tuple[Tick, ...]:
    return tuple(Tick(words(step), at=round(height * (1 - step / steps[-1]), 1)) for step in steps[1:])


def _points(
    labels: Sequence[Label], spans: Sequence[tuple[float, float]], series: Sequence[Series], words: Words
) -> tuple[Point, ...]:
    found = []
    for index, (label, (left, right)) in enumerate(zip(labels, spans, strict=True)):
        values = [(one.name, one.values[index]) for one in series]
        said = ", ".join(f"{name} {words(value)}" for name, value in values if value)
        if said:
            found.append(
                Point(round(left * 100, 2), round((right - left) * 100, 2), f"{label.text}: {said}", label)
            )
    return tuple(found)


def _table(
    labels: Sequence[Label], series: Sequence[Series], words: Words, *, empty: tuple[float | None, ...]
) -> tuple[Line, ...]:
    rows = zip(labels, zip(*(one.values for one in series), strict=True), strict=True)
    return tuple(
        Line(label, tuple("–" if value is None else words(value) for value in values))
        for label, values in rows
        if any(value not in empty for value in values)
    )


def _short(number: float) -> str:
    return f"{round(number, 1):g}"
