"""The curves of training logs as a picture, and as one HTML page that shows values and hides curves."""

import html
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from funasr_sap.data.files import atomic_write
from funasr_sap.extras import import_extra
from funasr_sap.train.log import Stage
from funasr_sap.train.log_charts import Chart, make_charts, stage_bounds, thin_out
from funasr_sap.train.log_summary import summarize

PAGE = Path(__file__).with_name("log_page.html")
COLORS = ("#2a78d6", "#eb6834", "#1baf7a", "#7c6bd8", "#e34948", "#e87ba4", "#eda100", "#008300")
FAINT = 0.3  # opacity


def write_png(
    path: str | os.PathLike, stages: Sequence[Stage], scores: Mapping[str, Mapping[str, float]] | None = None
) -> None:
    """Draw all charts, one below the other, atomically."""
    # It takes a second to import; no display is needed this way.
    figure_module = import_extra("matplotlib.figure", "to draw curves")
    charts = make_charts(stages, scores)
    figure = figure_module.Figure(figsize=(9, 2.6 * len(charts)), layout="constrained")
    for axes, chart in zip(
        figure.subplots(len(charts), sharex=True, squeeze=False)[:, 0], charts, strict=True
    ):
        _draw(axes, chart)
        for name, start, _ in stage_bounds(stages) if len(stages) > 1 else ():
            axes.axvline(start, color="0.75", linewidth=0.8)
            place = {"transform": axes.get_xaxis_transform(), "va": "top", "fontsize": 7}
            axes.text(start, 1, f" {name}", **place)
    axes.set_xlabel("step")
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=130)


def _draw(axes, chart: Chart) -> None:
    for curve, color in zip(chart.curves, _colors(chart), strict=True):
        if curve.shown:
            steps, values = zip(*thin_out(curve.points), strict=True)
            axes.plot(
                steps,
                [float("nan") if value is None else value for value in values],
                color=color,
                linewidth=1 if curve.faint else 1.8,
                alpha=FAINT if curve.faint else 1,
                marker="o" if curve.marked else None,
                markersize=4,
                label=curve.label,
            )
    axes.set_title(f"{chart.title} ({chart.unit})" if chart.unit else chart.title, loc="left", fontsize=10)
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if len(chart.curves) > 1:
        axes.legend(fontsize=8, frameon=False)


def write_html(
    path: str | os.PathLike,
    stages: Sequence[Stage],
    scores: Mapping[str, Mapping[str, float]] | None = None,
    title: str = "Training",
) -> None:
    """Write the page, atomically; it needs no other file and no network.

    Args:
        path: the page.
        stages: what `funasr_sap.train.log.read_stages` gives.
        scores: error rates of each stage's model, as in `make_charts`.
        title: of the page.
    """
    charts = make_charts(stages, scores)
    for chart in charts:
        for curve in chart.curves:
            curve.points = thin_out(curve.points)
    content = {
        "stages": [{"name": name, "start": start, "end": end} for name, start, end in stage_bounds(stages)],
        "charts": [{**asdict(chart), "colors": _colors(chart)} for chart in charts],
        "summaries": [{"name": stage.name, "lines": summarize(stage)} for stage in stages],
    }
    # "<" never stands in the script: a name could otherwise end it.
    data = json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    page = PAGE.read_text(encoding="utf-8").replace("{{title}}", html.escape(title)).replace("{{data}}", data)
    with atomic_write(path) as stream:
        stream.write(page)


def _colors(chart: Chart) -> list[str]:
    """Give each curve a colour; a faint one has that of the curve behind which it is drawn."""
    colors, used = [], 0
    for curve in chart.curves:
        colors.append(COLORS[used % len(COLORS)])
        used += not curve.faint
    return colors
