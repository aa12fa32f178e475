import logging

import pytest

from funasr_sap.train.training import train
from funasr_sap.train.trend import WINDOW, LossTrend


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ([5.0, 4.0, 3.0], False),
        ([3.0], False),
        ([5.0, 3e10], True),
        ([4.0, 9.0, 2.0, 1.0], False),  # it rose, and fell again
        ([1.0] * WINDOW + [0.5] * 200 + [1.1] * WINDOW, True),
    ],
)
def test_a_loss_that_ends_above_its_beginning_is_told(losses, told, caplog):
    trend = LossTrend()
    for loss in losses:
        trend.add(loss)
    trend.report(max_epoch=1, start_epoch=0)
    assert ("the loss ends above its beginning" in caplog.text) == told
    assert len(caplog.records) == told


def test_a_training_that_breaks_the_model_says_so_in_its_last_line(make_config, caplog):
    caplog.set_level(logging.WARNING)
    by_two = {"batch_sampler": "BatchSampler", "batch_type": "example", "batch_size": 2}
    train(make_config(dataset_conf=by_two, optim_conf={"lr": 1e6}, train_conf={"max_epoch": 2}))
    assert [each.getMessage()[:33] for each in caplog.records].count("the loss ends above its beginning") == 1


@pytest.mark.parametrize(("epochs", "done"), [(0, ""), (1, ", and 1 were done before")])
def test_a_training_that_trains_nothing_says_so(epochs, done, make_config, caplog):
    config = make_config(train_conf={"max_epoch": epochs})
    if epochs:
        train(config)
        assert "nothing was trained" not in caplog.text
    train(config)
    assert f"nothing was trained: ++train_conf.max_epoch is {epochs}{done}; raise it to train" in caplog.text
