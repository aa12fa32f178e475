"""How far chance goes: confidence intervals of error rates, and the comparison of two systems.

Utterances are resampled, not words, as the errors of one utterance depend on each other (Bisani and Ney 2004,
"Bootstrap estimates for confidence intervals in ASR performance evaluation"). Everything is computed from
the counts of each utterance; nothing is aligned again.
"""

import numpy as np

from funasr_sap.metrics.wer import BIASED, UNBIASED, Score

RATES = ("wer", "u_wer", "b_wer")
"""The names of the three rates, in the order of all arrays here."""

LEVEL = 95
"""Percent of the bootstrap samples that an interval holds."""

_BLOCK = 2_000_000  # numbers drawn at a time, which bounds the memory


def bootstrap_rates(score: Score, samples: int, seed: int) -> np.ndarray:
    """Draw utterances with replacement and return the error rates of each sample.

    Two scores of the same number of utterances get the same draws from the same seed, so that their samples
    can be compared one by one.

    Returns: (samples, 3) percent: WER, U-WER and B-WER; NaN where a sample has no such word.
    """
    counts = _words_and_errors(score)
    rng = np.random.default_rng(seed)
    totals = np.empty((samples, *counts.shape[1:]))
    step = max(1, _BLOCK // len(counts))
    for first in range(0, samples, step):
        block = totals[first : first + step]
        drawn = rng.integers(len(counts), size=(len(block), len(counts)))
        block[:] = counts[drawn].sum(1)
    words, errors = totals[:, 0], totals[:, 1]
    return np.divide(100 * errors, words, out=np.full_like(words, np.nan), where=words > 0)


def interval(values: np.ndarray) -> list[float] | None:
    """Return the percentile interval of the values of all samples, or None where all are undefined."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    return np.percentile(defined, [50 - LEVEL / 2, 50 + LEVEL / 2]).tolist()


def compare(base: Score, other: Score, samples: int, seed: int) -> dict[str, dict | None]:
    """Compare two systems on the same utterances with the same biased words.

    The interval is that of the paired bootstrap (Bisani and Ney 2004). The p-value is that of approximate
    randomisation (Noreen 1989; Riezler and Maxwell 2005): how often the difference would be as large, in
    either direction, if a coin decided for each utterance which system gave which hypothesis.

    Returns: for each rate ``difference`` (percent points, ``other`` minus ``base``: negative = fewer errors),
        ``interval`` and ``p_value``; None where there is no such word.
    """
    if base.utt_ids != other.utt_ids:
        raise ValueError("two systems are compared on the same utterances in the same order")
    words = _words_and_errors(base)[:, 0].sum(0)
    changes = _words_and_errors(other)[:, 1] - _words_and_errors(base)[:, 1]
    resampled = bootstrap_rates(other, samples, seed) - bootstrap_rates(base, samples, seed)
    p_values = randomisation_p_values(changes, samples, seed)
    return {
        name: {
            "difference": float(100 * changes[:, i].sum() / words[i]),
            "interval": interval(resampled[:, i]),
            "p_value": float(p_values[i]),
        }
        if words[i]
        else None
        for i, name in enumerate(RATES)
    }


def randomisation_p_values(changes: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Test by approximate randomisation whether the sums of changes could be chance.

    Args:
        changes: (U, K) differences of the errors of two systems in each utterance.
        samples: random assignments of the hypotheses to the systems; the p-value is at least
            1 / (samples + 1), as the assignment that was observed counts too.
        seed: of the random numbers.

    Returns: (K,) two-sided p-values.
    """
    observed = np.abs(changes.sum(0))
    changes = changes[changes.any(1)]  # the others change no sum, however they are assigned
    rng = np.random.default_rng(seed)
    as_large = np.zeros(changes.shape[1], dtype=int)
    step = max(1, _BLOCK // max(1, len(changes)))
    for first in range(0, samples, step):
        signs = 1 - 2 * rng.integers(2, size=(min(step, samples - first), len(changes)))
        as_large += (np.abs(signs @ changes) >= observed).sum(0)
    return (as_large + 1) / (samples + 1)


def _words_and_errors(score: Score) -> np.ndarray:
    """Return (U, 2, 3): reference words and errors of each utterance, for each of RATES."""
    table = np.stack([score.errors[:, :, 0], score.errors[:, :, 1:].sum(2)], axis=1)
    unbiased, biased = table[:, :, UNBIASED], table[:, :, BIASED]
    return np.stack([unbiased + biased, unbiased, biased], axis=2)
