"""FilterAugment: speech as other timbres, microphones and rooms would colour it (arXiv:2110.03282).

Symbols:
    B   utterances of a batch   F   feature frames   M   mel bands   R   frames stacked into one
"""

import inspect

import numpy as np
import torch
from funasr.models.specaug.specaug import SpecAugLFR
from funasr.register import tables


@tables.register("specaug_classes", "FilterAugLFR")
class FilterAugLFR(SpecAugLFR):
    """SpecAugment of stacked frames, after a random filter.

    A filter adds to all frames of an utterance the same curve over frequency: straight lines between a few
    bands, each with a gain of its own.

    Args:
        filter_probability: share of the utterances that are filtered.
        max_gain: of a band, up or down; in standard deviations, as features are after their normalisation.
        max_bands: a curve has 2 to so many bands with gains of their own.
        lfr_rate: R, frames stacked into one.
        **conf: of FunASR's ``SpecAugLFR``.
    """

    def __init__(
        self,
        filter_probability: float = 0.5,
        max_gain: float = 0.8,
        max_bands: int = 6,
        lfr_rate: int = 7,
        **conf,
    ):
        super().__init__(lfr_rate=lfr_rate, **conf)
        self.filter_probability, self.max_gain, self.max_bands = filter_probability, max_gain, max_bands
        self.lfr_rate = lfr_rate

    @classmethod
    def known_keys(cls) -> list[str]:
        """List the keys that ``conf`` may have."""
        return list(inspect.signature(SpecAugLFR).parameters)

    def forward(self, x: torch.Tensor, x_lengths=None):
        """Filter and mask (B, F, R · M) features; their lengths stay as they are."""
        curves = torch.stack([self._draw_curve(x.shape[2] // self.lfr_rate) for _ in range(len(x))])
        return super().forward(x + curves.repeat(1, self.lfr_rate)[:, None].to(x), x_lengths)

    def _draw_curve(self, num_mels: int) -> torch.Tensor:
        """Draw the gain of each mel band: (M,)."""
        if torch.rand(()) >= self.filter_probability:
            return torch.zeros(num_mels)
        num_bands = int(torch.randint(2, self.max_bands + 1, ()))
        places = torch.rand(num_bands - 2).sort().values * (num_mels - 1)
        gains = self.max_gain * (2 * torch.rand(num_bands) - 1)
        curve = np.interp(np.arange(num_mels), [0, *places.tolist(), num_mels - 1], gains.tolist())
        return torch.from_numpy(curve).float()
