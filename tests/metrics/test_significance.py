import itertools

import numpy as np
import pytest

from funasr_sap.metrics import score, significance
from funasr_sap.metrics.significance import bootstrap_rates, compare, interval, randomisation_p_values


def scored(hypotheses, references=None, biasing=None):
    """Score a list of hypotheses; every utterance says "a b c", and "c" is biased."""
    hypotheses = {f"u{number}": text for number, text in enumerate(hypotheses)}
    references = references or dict.fromkeys(hypotheses, "a b c")
    return score(references, hypotheses, biasing or {utt_id: ["c"] for utt_id in references})


TEXTS = ["a b c", "a b x", "x b c", "a c", "a b c d", "", "a b c"]


def test_samples_are_those_of_a_plain_loop():
    result = scored(TEXTS)
    drawn = np.random.default_rng(5).integers(len(TEXTS), size=(40, len(TEXTS)))
    for row, rates in zip(drawn, bootstrap_rates(result, 40, seed=5), strict=True):
        resampled = scored([TEXTS[place] for place in row])
        expected = [part.error_rate for part in (resampled.wer, resampled.u_wer, resampled.b_wer)]
        assert rates.tolist() == pytest.approx(expected)


def test_samples_do_not_depend_on_the_size_of_the_blocks(monkeypatch):
    whole = bootstrap_rates(scored(TEXTS), 50, seed=1)
    p_value = randomisation_p_values(np.arange(7)[:, None] - 2, 51, seed=1)
    monkeypatch.setattr(significance, "_BLOCK", 20)
    assert np.array_equal(bootstrap_rates(scored(TEXTS), 50, seed=1), whole)
    assert randomisation_p_values(np.arange(7)[:, None] - 2, 51, seed=1) == p_value
    assert not np.array_equal(bootstrap_rates(scored(TEXTS), 50, seed=2), whole)


def test_the_interval_is_a_point_where_all_utterances_are_alike():
    rates = bootstrap_rates(scored(["a b x"] * 30), 100, seed=0)
    assert [interval(column) for column in rates.T] == [[100 / 3] * 2, [0.0, 0.0], [100.0, 100.0]]


def test_the_interval_holds_95_percent_of_the_samples():
    values = np.array([*range(1001), np.nan])
    assert interval(values) == [25.0, 975.0]
    assert interval(np.array([np.nan])) is None


def test_intervals_cover_the_true_rate_about_95_times_in_100():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        wrong = rng.random(80) < 0.3
        rates = bootstrap_rates(scored(["a b x" if bad else "a b c" for bad in wrong]), 300, seed)
        low, high = interval(rates[:, 2])
        covered += low <= 30 <= high
    assert 88 <= covered <= 99


def test_p_values_approach_those_of_all_assignments():
    changes = np.array([[3, 0], [1, 1], [-1, 0], [2, -1], [0, 0], [1, 1], [2, 0], [-1, 1]])
    signs = np.array(list(itertools.product((1, -1), repeat=len(changes))))
    exact = (np.abs(signs @ changes) >= np.abs(changes.sum(0))).mean(0)
    assert randomisation_p_values(changes, 20000, seed=3) == pytest.approx(exact, abs=0.01)


def test_a_system_does_not_differ_from_itself():
    result = scored(TEXTS)
    for found in compare(result, result, 100, seed=0).values():
        assert found == {"difference": 0.0, "interval": [0.0, 0.0], "p_value": 1.0}


def test_a_clear_difference_is_significant_in_either_direction():
    base, better = scored(["a b x"] * 40 + ["x b c"] * 5), scored(["a b c"] * 40 + ["x b c"] * 5)
    found, reverse = compare(base, better, 500, seed=0), compare(better, base, 500, seed=0)
    assert found["wer"]["difference"] == -100 * 40 / 135
    assert found["b_wer"]["difference"] == -100 * 40 / 45 == -reverse["b_wer"]["difference"]
    assert found["b_wer"]["interval"][1] < -70
    assert found["b_wer"]["p_value"] == reverse["b_wer"]["p_value"] == 1 / 501
    assert found["u_wer"] == {"difference": 0.0, "interval": [0.0, 0.0], "p_value": 1.0}


def test_rates_without_words_are_not_compared():
    result = scored(["a b"], {"u0": "a b"}, {"u0": ["c"]})
    assert compare(result, result, 10, seed=0)["b_wer"] is None
    assert np.isnan(bootstrap_rates(result, 10, seed=0)[:, 2]).all()


def test_different_utterances_are_not_compared():
    with pytest.raises(ValueError, match="same utterances"):
        compare(scored(["a"]), scored(["a", "b"]), 10, seed=0)
