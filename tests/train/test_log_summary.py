import math
from datetime import datetime, timedelta

import pytest

from funasr_sap.train.log import Point, Stage, Validation
from funasr_sap.train.log_summary import last_improvement, seconds_per_step, smooth, summarize

START = datetime(2026, 1, 2, 10)


def training(losses, validations=(), seconds=2.0, epochs_left=0, every=10, **more):
    """Make a stage of one epoch with a line every ten steps, ``seconds`` a step."""
    last = every * len(losses)
    points = [
        Point(
            step=step,
            epoch=0,
            left_in_epoch=last - step,
            remaining=last - step + epochs_left * last,
            values={"loss": loss, "data_load": 0.5, "total_time": 2.0},
            time=START + timedelta(seconds=seconds * step) if seconds else None,
            session=0,
        )
        for step, loss in zip(range(every, last + 1, every), losses, strict=True)
    ]
    found = [Validation(step, 0, values) for step, values in validations]
    return Stage("stage", {0: points}, found, **more)


def summary(*args, **more):
    return dict(summarize(training(*args, **more)))


def test_smooth():
    assert smooth([(1, 1.0), (2, 3.0), (3, math.nan), (4, 5.0)], width=2) == [(1, 1.0), (2, 2.0), (4, 4.0)]


def test_last_improvement():
    assert last_improvement([(1, 1.0), (2, 0.995), (3, 0.98), (4, 0.975), (5, 1.5)]) == 3
    assert last_improvement([(1, -1.0), (2, -1.005), (3, -1.02)]) == 3  # losses may be negative


def test_steps_and_best():
    found = summary(
        [2.0] * 10 + [1.0] * 10,
        [(100, {"loss": 0.5, "acc": 0.8, "b_wer": 30.0}), (200, {"loss": 0.6, "acc": 0.9, "b_wer": 20.0})],
        epochs_left=1,
        resumptions=2,
    )
    assert found["steps"] == "200 of 400 (50 %), epoch 1, resumed 2 time(s)"
    assert found["training loss"] == "2 at first, 1 now (mean of 10 points)"
    assert found["best validation loss"] == "0.5 at step 100 (epoch 1)"
    assert found["best validation accuracy"] == "0.9 at step 200 (epoch 1)"
    assert found["best validation B-WER (%)"] == "20 at step 200 (epoch 1)"
    assert summary([3.0, 1.0, 2.0])["best training loss"].startswith("2 at step 20")


def test_plateau():
    falling = [2 - 0.01 * index for index in range(100)]
    assert summary(falling)["plateau"].startswith("no: ")
    assert summary([*falling, *[1.0] * 60])["plateau"].startswith(
        "YES: loss fell by more than 1% last at step 10"
    )
    validations = [(250 * number, {"loss": loss}) for number, loss in enumerate((3.0, 2.0, 2.0, 2.1), 1)]
    expected = "YES: loss fell by more than 1% last at step 500, 500 steps ago"
    assert summary(falling, validations)["plateau"] == expected


@pytest.mark.parametrize(
    ("losses", "more", "expected"),
    [
        ([2.0, 1.0] * 20, {}, "no"),
        ([1.0] * 20 + [3.0] * 20, {}, "YES: the training loss is 3, 3.0 times that of step 10"),
        ([1.0, math.nan, math.inf], {}, "YES: the loss is no number from step 20 on, 2 time(s)"),
        ([1.0], {"skipped_updates": 4}, "YES: 4 updates skipped for their gradients"),
        (
            [1.0] * 5,
            {"validations": [(10, {"loss": 1.0}), (20, {"loss": 1.75})]},
            "YES: the validation loss is 1.75, 1.8 times that of step 10",
        ),
    ],
)
def test_divergence(losses, more, expected):
    assert summary(losses, **more)["divergence"] == expected


def test_only_broken_losses():
    found = summary([math.nan] * 3)
    assert found["divergence"].startswith("YES: the loss is no number from step 10 on")
    assert "nan" in found["training loss"]


def test_speed_and_finish():
    found = summary([1.0] * 10, epochs_left=3)
    assert found["throughput"] == "0.50 steps/s (2.000 s a step), 25 % of it waiting for data"
    assert found["finish"] == "in 0:10:00, 2026-01-02 10:13 if it still runs (300 steps to go)"
    assert summary([1.0])["finish"] == "finished"
    assert summary([1.0], epochs_left=1, stopped_early=True)["finish"] == "stopped early"
    assert "0.50 steps/s" in summary([1.0] * 5, seconds=None)["throughput"]  # from total_time
    assert (
        summary([1.0] * 5, seconds=None, epochs_left=1)["finish"]
        == "in 0:01:40 if it still runs (50 steps to go)"
    )


def test_breaks_between_sessions_do_not_count_and_validation_only_in_the_mean():
    points = training([1.0] * 5).points
    later = [
        Point(**{**vars(p), "time": p.time + timedelta(hours=1), "session": 1, "step": p.step + 50})
        for p in points
    ]
    assert seconds_per_step([*points, *later]) == (2.0, 2.0)
    slow = Point(**{**vars(points[-1]), "time": points[-1].time + timedelta(seconds=100), "step": 60})
    assert seconds_per_step([*points, slow]) == (2.0, pytest.approx((4 * 20 + 100) / 50))
