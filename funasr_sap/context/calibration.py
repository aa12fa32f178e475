"""Acoustic evidence as a probability: of the keywords that get 0.9, nine in ten are spoken.

A logistic model of six numbers; its coefficients belong to the weights of CTC head and span head, so each
model directory has its own (``retrieval_conf.calibration``). ``funasr-sap calibrate`` fits them.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch

from funasr_sap.errors import ConfigError, DataError

RIDGE = 0.1  # keeps coefficients finite where the evidence parts the classes wholly


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The coefficients; the defaults were fitted to the embedded model on the development set.

    None may have the other sign: better evidence never makes a keyword less probable.

    Attributes:
        reward: nats that an aligned piece is worth when keywords of different lengths are compared.
        bias: log odds of a keyword without evidence.
        score: a nat of the alignment's score, at least 0.
        pieces: a piece of the keyword, at least 0.
        goes_on: the word that was heard goes on where the keyword ends, at most 0.
        share: a nat of the keyword's share among its rivals, at least 0; see ``log_share``.
        size: ten times as many keywords in the list, at most 0.
        span: a nat of the span head's log odds, at least 0; see ``SpanHead``.
    """

    reward: float = 4.0
    bias: float = 4.41
    score: float = 0.41
    pieces: float = 1.34
    goes_on: float = -2.0
    share: float = 0.284
    size: float = -1.88
    span: float = 0.0

    SIGNS = {"score": 1, "pieces": 1, "goes_on": -1, "share": 1, "size": -1, "span": 1}  # noqa: RUF012

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if not isinstance(value, int | float) or isinstance(value, bool) or not np.isfinite(value):
                raise ConfigError(f"calibration: {name}: expected a number, got {value!r}")
            if value * self.SIGNS.get(name, 0) < 0:
                sign = "at least" if self.SIGNS[name] > 0 else "at most"
                raise ConfigError(f"calibration: {name}: expected {sign} 0, got {value}")
        if self.reward <= 0:
            raise ConfigError(f"calibration: reward: expected nats a piece above 0, got {self.reward}")

    def log_odds(self, score, pieces, goes_on, share, size, span) -> torch.Tensor:
        """Weigh the evidence of keywords; all arguments can be broadcast.

        Args:
            score: of the alignment, in nats.
            pieces: of the keyword.
            goes_on: 1 where the word that was heard is longer.
            share: ``log_share``, in nats.
            size: keywords of the biasing list.
            span: log odds by the span head, 0 without one.
        """
        return (
            self.bias
            + self.score * score
            + self.pieces * pieces
            + self.goes_on * goes_on
            + self.share * share
            + self.size * torch.log10(size.clamp(min=1))
            + self.span * span
        )

    def probability(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Give n keywords' probability from the columns that ``fit_calibration`` takes: (n,)."""
        values = {name: torch.as_tensor(columns[name]) for name in self.SIGNS}
        return self.log_odds(**values).sigmoid().numpy()


def log_share(evidence: torch.Tensor, overlaps: torch.Tensor) -> torch.Tensor:
    """Share a stretch of speech among the keywords that claim it, each by the likelihood of its evidence.

    Args:
        evidence: (B, K) scores with the reward for their pieces, in nats.
        overlaps: (B, K, K) bool, True = two keywords overlap in time; each overlaps itself.

    Returns:
        (B, K) log shares, 0 for a keyword without rivals.
    """
    rivals = torch.where(overlaps, evidence[:, None, :], float("-inf"))
    return evidence - rivals.logsumexp(2)


def fit_calibration(columns: Mapping[str, np.ndarray], spoken: np.ndarray, reward: float) -> Calibration:
    """Fit the coefficients by maximum likelihood, none with the wrong sign.

    Args:
        columns: for each of ``SIGNS`` the values of n keywords that were found; ``size`` is that of the list.
        spoken: (n,) bool, whether each is spoken.
        reward: with which they were found.

    Raises:
        DataError: unless some of the keywords are spoken and some are not.
    """
    from scipy.optimize import minimize  # slow to import, and decoding needs none of it
    from scipy.special import expit

    spoken = np.asarray(spoken, float)
    if not 0 < spoken.sum() < len(spoken):
        raise DataError(
            f"calibration: {int(spoken.sum())} of {len(spoken)} keywords found are spoken; "
            "expected some that are and some that are not"
        )
    names = list(Calibration.SIGNS)
    inputs = np.stack([np.log10(columns[name]) if name == "size" else columns[name] for name in names], 1)
    center, scale = inputs.mean(0), inputs.std(0)
    scale[scale == 0] = 1  # the same everywhere, as the size of lists of one size: its coefficient will be 0
    design = np.concatenate([(inputs - center) / scale, np.ones((len(inputs), 1))], 1)

    def loss(weights):
        odds = design @ weights
        ridge = RIDGE * np.append(weights[:-1], 0)
        value = np.logaddexp(0, odds).sum() - spoken @ odds + ridge @ weights / 2
        return value, design.T @ (expit(odds) - spoken) + ridge

    bounds = [(0, None) if Calibration.SIGNS[name] > 0 else (None, 0) for name in names] + [(None, None)]
    weights = minimize(loss, np.zeros(len(bounds)), jac=True, bounds=bounds, method="L-BFGS-B").x
    fitted = dict(zip(names, weights[:-1] / scale, strict=True))
    fitted["bias"] = weights[-1] - center @ (weights[:-1] / scale)
    return Calibration(reward=reward, **{name: round(float(value), 4) for name, value in fitted.items()})
