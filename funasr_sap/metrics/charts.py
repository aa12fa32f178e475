"""Where the bars, lines and intervals of the scoring page stand, in units of its SVG pictures.

Only places are computed here: the figures themselves are named by their path in the report, such as
``compare.b_wer.error_rate``, and written by the page.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from funasr_sap.metrics.table import LABELS

WIDTH, HEIGHT = 480, 260
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 16, 26  # margins around the plot: labels of the axes
TICKS = 4


class Mark(NamedTuple):
    """A figure in a chart: a bar or a point.

    Attributes:
        system: which system it belongs to, from 1.
        path: of the figure in the report.
        x: the left edge of a bar, or the place of a point.
        y: the top of a bar, or the place of a point.
        low: the lower end of its interval; None where there is none.
        high: the upper end.
    """

    system: int
    path: str
    x: float
    y: float
    low: float | None
    high: float | None


class Chart(NamedTuple):
    """Marks with their axes.

    Attributes:
        marks: bars or points.
        bar_width: of each bar; 0 in a line chart.
        ticks: (height, label) on the vertical axis.
        labels: (place, text, path) under the horizontal axis; one of text and path is empty.
    """

    marks: list[Mark]
    bar_width: float
    ticks: list[tuple[float, str]]
    labels: list[tuple[float, str, str]]

    @property
    def bottom(self) -> float:
        """Where the horizontal axis is."""
        return HEIGHT - BOTTOM

    def line(self, system: int) -> str:
        """Return the points of a system's line as SVG writes them."""
        return " ".join(f"{mark.x},{mark.y}" for mark in self.marks if mark.system == system)


Figure = tuple[int, int, str, float, list[float] | None]  # place on the axis, system, path, rate, interval


def bar_chart(systems: Sequence[tuple[str, Mapping]]) -> Chart:
    """Draw WER, U-WER and B-WER of each system side by side.

    Args:
        systems: path in the report, "" or ending with a dot, and report of each.
    """
    figures = [
        (place, number, f"{path}{rate}.error_rate", *_rate(system, rate))
        for place, rate in enumerate(LABELS)
        for number, (path, system) in enumerate(systems, 1)
        if system[rate]["error_rate"] is not None
    ]
    step = (WIDTH - LEFT - RIGHT) / len(LABELS)
    bar_width = round(0.8 * step / len(systems), 2)
    top = _ceiling(figures)
    marks = []
    for place, number, path, rate, interval in figures:
        x = LEFT + step * (place + 0.1) + bar_width * (number - 1)
        marks.append(_mark(number, path, x, rate, interval, top))
    labels = [(LEFT + step * (place + 0.5), label, "") for place, label in enumerate(LABELS.values())]
    return Chart(marks, bar_width, _ticks(top), labels)


def line_chart(lines: Sequence[Sequence[tuple[str, dict]]]) -> Chart:
    """Draw B-WER against N, a line a system. The steps between the N are not to scale.

    Args:
        lines: for each system the path and the report at each N; all have the same N.
    """
    figures = [
        (place, number, f"{path}b_wer.error_rate", *_rate(part, "b_wer"))
        for number, line in enumerate(lines, 1)
        for place, (path, part) in enumerate(line)
        if part["b_wer"]["error_rate"] is not None
    ]
    step = (WIDTH - LEFT - RIGHT) / len(lines[0])
    top = _ceiling(figures)
    marks = []
    for place, number, path, rate, interval in figures:
        # Points of two systems stand a little apart, so that their intervals do not hide each other.
        x = LEFT + step * (place + 0.5) + 6 * (number - (len(lines) + 1) / 2)
        marks.append(_mark(number, path, x, rate, interval, top))
    labels = [(LEFT + step * (place + 0.5), "", f"{path}n") for place, (path, _) in enumerate(lines[0])]
    return Chart(marks, 0, _ticks(top), labels)


def _rate(system: Mapping, rate: str) -> tuple[float, list[float] | None]:
    return system[rate]["error_rate"], system.get("bootstrap", {}).get(rate)


def _ceiling(figures: Sequence[Figure]) -> float:
    """Return a round number above all figures and their intervals."""
    bounds = [bound for _, _, _, rate, interval in figures for bound in (rate, *(interval or ()))]
    highest = max(bounds, default=0) or 1
    unit = 10 ** math.floor(math.log10(highest)) / 2
    return unit * math.ceil(highest / unit)


def _ticks(top: float) -> list[tuple[float, str]]:
    values = (top * tick / TICKS for tick in range(TICKS + 1))
    return [(_height(value, top), f"{value:g}") for value in values]


def _height(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top, 2)


def _mark(system: int, path: str, x: float, rate: float, interval: list[float] | None, top: float) -> Mark:
    low, high = (_height(bound, top) for bound in interval) if interval else (None, None)
    return Mark(system, path, round(x, 2), _height(rate, top), low, high)
