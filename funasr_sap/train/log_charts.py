"""The curves of training logs: which values go into which chart, along the steps of all stages."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from funasr_sap.train.log import Stage
from funasr_sap.train.log_summary import Series, smooth

MOST_POINTS = 3000  # of a curve; a screen has no more columns
PRUNING = {"pruning_precision": "precision", "pruning_recall": "recall", "pruning_f1": "F1"}
ERROR_RATES = {"wer": "WER", "u_wer": "U-WER", "b_wer": "B-WER", "cer": "CER"}

Points = list[tuple[int, float | None]]  # (step, value); None parts the line between two stages


@dataclass
class Curve:
    """One line of a chart.

    Attributes:
        marked: each value is a result, such as a validation, and gets a mark.
        faint: drawn thin, behind the others.
        shown: whether it is drawn at first.
    """

    label: str
    points: Points
    marked: bool = False
    faint: bool = False
    shown: bool = True


@dataclass
class Chart:
    """Curves of one unit."""

    title: str
    unit: str
    curves: list[Curve]


def stage_bounds(stages: Sequence[Stage]) -> list[tuple[str, int, int]]:
    """Return name, first and last step of each stage, where steps are counted on from stage to stage."""
    bounds, start = [], 0
    for stage in stages:
        bounds.append((stage.name, start, start + stage.last_step))
        start += stage.last_step
    return bounds


def make_charts(
    stages: Sequence[Stage], scores: Mapping[str, Mapping[str, float]] | None = None
) -> list[Chart]:
    """Lay out loss, accuracy, learning rate, error rates, pruning, GPU memory; empty charts are left out.

    Args:
        stages: what `funasr_sap.train.log.read_stages` gives.
        scores: error rates in percent (``wer``, ``b_wer``) of the model that a stage ended with, by its name.
    """
    makers = (_loss, _accuracy, _learning_rate, _memory)
    charts = [maker(stages) for maker in makers]
    charts[3:3] = [_error_rates(stages, scores or {}), _pruning(stages)]
    for chart in charts:
        chart.curves = [
            curve for curve in chart.curves if any(value is not None for _, value in curve.points)
        ]
    return [chart for chart in charts if chart.curves]


def thin_out(points: Points, limit: int = MOST_POINTS) -> Points:
    """Keep the lowest and the highest value of each of ``limit / 2`` stretches, so that no peak is lost."""
    if len(points) <= limit:
        return points
    size = math.ceil(len(points) / (limit // 2))
    kept = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        known = [(step, value) for step, value in stretch if value is not None]
        gaps = [point for point in stretch if point[1] is None]
        ends: set[tuple[int, float | None]] = set()
        if known:
            ends = {min(known, key=lambda p: p[1]), max(known, key=lambda p: p[1])}
        kept += sorted([*ends, *gaps], key=lambda p: (p[0], p[1] is None))
    return kept


def _loss(stages: Sequence[Stage]) -> Chart:
    parts = sorted(
        {name for stage in stages for name in stage.names() if name.startswith("loss_")} - {"loss_avg"}
    )
    curves = [
        Curve("training, each", _train(stages, "loss"), faint=True),
        Curve("training", _train(stages, "loss", smooth)),
        Curve("validation", _validations(stages, "loss"), marked=True),
        *(Curve(name.removeprefix("loss_"), _train(stages, name, smooth), shown=False) for name in parts),
    ]
    if all(len(points) < 2 for points in (curve.points for curve in curves[3:])) or len(parts) == 1:
        curves = curves[:3]  # one part is the whole
    return Chart("Loss", "", curves)


def _accuracy(stages: Sequence[Stage]) -> Chart:
    curves = [
        Curve("training, each", _train(stages, "acc"), faint=True),
        Curve("training", _train(stages, "acc", smooth)),
        Curve("validation", _validations(stages, "acc"), marked=True),
    ]
    return Chart("Accuracy", "", curves)


def _learning_rate(stages: Sequence[Stage]) -> Chart:
    return Chart("Learning rate", "", [Curve("learning rate", _train(stages, "lr"))])


def _error_rates(stages: Sequence[Stage], scores: Mapping[str, Mapping[str, float]]) -> Chart:
    curves = []
    for name, label in ERROR_RATES.items():
        curves.append(Curve(f"{label}, validation", _validations(stages, name), marked=True))
        # FunASR's models report them as fractions.
        training = [(step, rate and 100 * rate) for step, rate in _train(stages, name, smooth)]
        curves.append(Curve(f"{label}, training", training))
        ends: Points = [
            (end, scores[stage][name])
            for stage, _, end in stage_bounds(stages)
            if scores.get(stage, {}).get(name) is not None
        ]
        curves.append(Curve(f"{label}, test", ends, marked=True))
    return Chart("Error rates", "%", curves)


def _pruning(stages: Sequence[Stage]) -> Chart:
    curves = [Curve(label, _validations(stages, name), marked=True) for name, label in PRUNING.items()]
    return Chart("Pruning, validation", "%", curves)


def _memory(stages: Sequence[Stage]) -> Chart:
    curves = [Curve(label, _train(stages, f"gpu_{label}")) for label in ("peak", "usage")]
    curves += [Curve("cache", _train(stages, "gpu_cache"), shown=False)]
    used = any(value for curve in curves for _, value in curve.points)  # all 0 without a GPU
    return Chart("GPU memory", "GB", curves if used else [])


def _train(stages: Sequence[Stage], name: str, change: Callable[[Series], Series] = list) -> Points:
    """Return a value of the training lines along all stages."""
    points: Points = []
    for stage, (_, start, _) in zip(stages, stage_bounds(stages), strict=True):
        series = change(stage.series(name)) if name in stage.names() else []
        finite = [(start + step, value if math.isfinite(value) else None) for step, value in series]
        points += [*finite, (finite[-1][0], None)] if finite else []
    return points


def _validations(stages: Sequence[Stage], name: str) -> Points:
    points: Points = []
    for stage, (_, start, _) in zip(stages, stage_bounds(stages), strict=True):
        found = [(start + each.step, each.values[name]) for each in stage.validations if name in each.values]
        points += [*found, (found[-1][0], None)] if found else []
    return points
