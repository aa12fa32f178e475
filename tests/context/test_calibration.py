import dataclasses

import numpy as np
import pytest
import torch

from funasr_sap.context.calibration import Calibration, fit_calibration, log_share
from funasr_sap.context.fitting import reliability
from funasr_sap.errors import ConfigError, DataError

TRUE = Calibration(reward=4.0, bias=1.0, score=0.4, pieces=1.2, goes_on=-2.0, share=0.5, size=-1.0, span=0.7)


def evidence(num=40_000, seed=0):
    """Evidence as retrieval finds it, and what is spoken: drawn with the odds of ``TRUE``."""
    rng = np.random.default_rng(seed)
    columns = {
        "score": -rng.exponential(6, num),
        "pieces": rng.integers(1, 8, num),
        "goes_on": rng.random(num) < 0.3,
        "share": -rng.exponential(1, num),
        "size": 10 ** rng.uniform(1, 5, num),
        "span": rng.normal(-1, 3, num),
    }
    return columns, rng.random(num) < TRUE.probability(columns)


def test_the_fit_finds_the_coefficients_that_made_the_data():
    fitted = fit_calibration(*evidence(), reward=4.0)
    for name, value in dataclasses.asdict(TRUE).items():
        assert getattr(fitted, name) == pytest.approx(value, rel=0.1), name


def test_of_the_keywords_at_nine_tenths_nine_in_ten_are_spoken():
    fitted = fit_calibration(*evidence(seed=1), reward=4.0)
    columns, spoken = evidence(seed=2)
    rows = reliability(fitted.probability(columns), spoken)
    assert sum(num for _, _, num in rows) == len(spoken)
    assert all(said == pytest.approx(true, abs=0.05) for said, true, _ in rows)


def test_no_fit_rewards_worse_evidence():
    columns, spoken = evidence()
    fitted = fit_calibration(columns, ~spoken, reward=4.0)  # the worse, the likelier
    assert [getattr(fitted, name) for name in Calibration.SIGNS] == pytest.approx([0] * 6, abs=1e-3)


@pytest.mark.parametrize("spoken", [np.zeros(5, bool), np.ones(5, bool)])
def test_a_fit_needs_both_kinds(spoken):
    columns = {name: column[:5] for name, column in evidence()[0].items()}
    with pytest.raises(DataError, match=f"{spoken.sum()} of 5 keywords"):
        fit_calibration(columns, spoken, reward=4.0)


@pytest.mark.parametrize("seed", range(3))
def test_confidence_rises_with_evidence(seed):
    base, _ = evidence(200, seed)
    default = Calibration(span=0.5)
    for name, sign in Calibration.SIGNS.items():
        better = base | {name: base[name] + sign * np.full(200, 0.5)}
        assert (default.probability(better) > default.probability(base)).all(), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": -0.1}, "score: expected at least 0, got -0.1"),
        ({"size": 1}, "size: expected at most 0, got 1"),
        ({"reward": 0.0}, "reward: expected nats a piece above 0, got 0.0"),
        ({"bias": "big"}, "bias: expected a number, got 'big'"),
        ({"bias": float("nan")}, "bias: expected a number, got nan"),
        ({"pieces": True}, "pieces: expected a number, got True"),
    ],
)
def test_wrong_coefficients_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        Calibration(**changes)


def test_shares_of_a_stretch_add_up_to_one():
    score = torch.tensor([[1.0, 2.0, 3.0, 50.0]])
    overlaps = torch.eye(4, dtype=torch.bool)[None].clone()
    overlaps[0, :3, :3] = True
    share = log_share(score, overlaps).exp()[0]
    assert share[:3].sum().item() == pytest.approx(1)
    assert share[:3].tolist() == pytest.approx(torch.softmax(score[0, :3], 0).tolist())
    assert share[3].item() == 1
