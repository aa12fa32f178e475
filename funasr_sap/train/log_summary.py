"""What a training's log says in a few lines: the best step, plateau, divergence, speed, estimated finish."""

import math
import statistics
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from funasr_sap.train.log import Point, Stage

IMPROVEMENT = 0.01  # a loss lower by less than this share counts as none
PLATEAU = 0.2  # share of the training without improvement
DIVERGED = 1.5  # times the lowest loss
SMOOTHING = 10  # points in an average of the training loss
FEWEST_VALIDATIONS = 4  # fewer say nothing about a plateau

Series = Sequence[tuple[int, float]]  # (step, value)


def summarize(stage: Stage) -> list[tuple[str, str]]:
    """Return what there is to say about a training, as label and text.

    Args:
        stage: a log that `funasr_sap.train.log.read_stages` read.
    """
    losses = smooth(stage.series("loss"))
    first = losses[min(SMOOTHING, len(losses)) - 1][1]
    validated = [(each.step, each.values["loss"]) for each in stage.validations if "loss" in each.values]
    lines = [
        ("steps", _steps(stage)),
        (
            "training loss",
            f"{first:.4g} at first, {losses[-1][1]:.4g} now (mean of {SMOOTHING} points)",
        ),
        *_best(stage, losses),
        ("plateau", _plateau(validated if len(validated) >= FEWEST_VALIDATIONS else losses, stage.last_step)),
        ("divergence", _divergence(stage, losses, validated)),
        ("throughput", _throughput(stage)),
        ("finish", _finish(stage)),
    ]
    if peak := max((value for _, value in stage.series("gpu_peak")), default=0):
        lines.append(("GPU memory", f"{peak:.2f} GB at most"))
    return lines


def smooth(series: Series, width: int = SMOOTHING) -> list[tuple[int, float]]:
    """Average each value with those before it, up to ``width``; values that are no numbers are left out."""
    finite = [(step, value) for step, value in series if math.isfinite(value)]
    means = []
    for index, (step, _) in enumerate(finite):
        window = [value for _, value in finite[max(0, index + 1 - width) : index + 1]]
        means.append((step, sum(window) / len(window)))
    return means or [(0, math.nan)]


def last_improvement(series: Series) -> int:
    """Return the last step at which the value fell by more than ``IMPROVEMENT`` below all before it."""
    step, best = series[0]
    for at, value in series:
        if value < best - IMPROVEMENT * abs(best):
            step, best = at, value
    return step


def seconds_per_step(points: Sequence[Point]) -> tuple[float, float] | None:
    """Return the median, and the mean with validation and checkpoints; None where the log does not tell.

    Time between two sessions does not count.
    """
    spans = [
        ((after.time - before.time).total_seconds(), after.step - before.step)
        for before, after in pairwise(points)
        if before.time and after.time and before.session == after.session
    ]
    if not spans:
        seconds = [point.values["total_time"] for point in points if "total_time" in point.values]
        return (statistics.median(seconds), statistics.fmean(seconds)) if seconds else None
    total, steps = map(sum, zip(*spans, strict=True))
    return statistics.median(time / step for time, step in spans), total / steps


def _steps(stage: Stage) -> str:
    last = stage.points[-1]
    total = last.step + last.remaining
    parts = [f"{stage.last_step} of {total} ({100 * stage.last_step / total:.0f} %), epoch {last.epoch + 1}"]
    if len(stage.ranks) > 1:
        parts.append(f"{len(stage.ranks)} ranks")
    if stage.resumptions:
        parts.append(f"resumed {stage.resumptions} time(s)")
    return ", ".join(parts)


def _best(stage: Stage, losses: Series) -> list[tuple[str, str]]:
    lines = []
    rates = (("WER (%)", "wer", min), ("U-WER (%)", "u_wer", min), ("B-WER (%)", "b_wer", min))
    rates += (("pruning F1 (%)", "pruning_f1", max),)
    for label, name, choose in (("loss", "loss", min), ("accuracy", "acc", max), *rates):
        known = [each for each in stage.validations if name in each.values]
        if known:
            best = choose(known, key=lambda each: each.values[name])
            value = f"{best.values[name]:.5g} at step {best.step} (epoch {best.epoch + 1})"
            lines.append((f"best validation {label}", value))
    if lines:
        return lines
    step, loss = min(losses, key=lambda point: point[1])
    return [("best training loss", f"{loss:.4g} at step {step}; no validation in the log")]


def _plateau(series: Series, last_step: int) -> str:
    since = last_improvement(series)
    share = (last_step - since) / last_step
    found = f"loss fell by more than {IMPROVEMENT:.0%} last at step {since}, {last_step - since} steps ago"
    return f"{'YES' if share > PLATEAU else 'no'}: {found}"


def _divergence(stage: Stage, losses: Series, validated: Series) -> str:
    signs = []
    broken = [step for step, loss in stage.series("loss") if not math.isfinite(loss)]
    if broken:
        signs.append(f"the loss is no number from step {broken[0]} on, {len(broken)} time(s)")
    for label, series in (("training", losses), ("validation", validated)):
        if series:
            step, lowest = min(series, key=lambda point: point[1])
            now = series[-1][1]
            if lowest > 0 and now > DIVERGED * lowest:
                signs.append(f"the {label} loss is {now:.4g}, {now / lowest:.1f} times that of step {step}")
    if stage.skipped_updates:
        signs.append(f"{stage.skipped_updates} updates skipped for their gradients")
    return f"YES: {'; '.join(signs)}" if signs else "no"


def _throughput(stage: Stage) -> str:
    speed = seconds_per_step(stage.points)
    if speed is None or not speed[0]:
        return "unknown: the log has no times"
    parts = [f"{1 / speed[0]:.2f} steps/s ({speed[0]:.3f} s a step)"]
    loading, total = (sum(value for _, value in stage.series(name)) for name in ("data_load", "total_time"))
    if total:
        parts.append(f"{100 * loading / total:.0f} % of it waiting for data")
    return ", ".join(parts)


def _finish(stage: Stage) -> str:
    last, speed = stage.points[-1], seconds_per_step(stage.points)
    if stage.finished:
        return "stopped early" if stage.stopped_early else "finished"
    if speed is None:
        return f"{last.remaining} steps to go"
    left = timedelta(seconds=round(last.remaining * speed[1]))
    at = f", {last.time + left:%Y-%m-%d %H:%M}" if last.time else ""
    return f"in {left}{at} if it still runs ({last.remaining} steps to go)"
