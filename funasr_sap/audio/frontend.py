"""What FunASR's frontends have in common, from which FunASR makes no class: samples in, features out."""

from collections.abc import Sequence
from typing import Protocol

import torch


class Frontend(Protocol):
    """One of FunASR's ``frontend_classes``; some also tell the ``max_seconds`` that their encoder hears.

    Attributes:
        fs: of the waveforms, in Hz.
        frame_shift: ms from a frame to the next, before frames are stacked.
        lfr_n: frames that make one.
    """

    fs: int
    frame_shift: int
    lfr_n: int

    def output_size(self) -> int:
        """Tell the width of the features."""
        ...

    def __call__(
        self, waveforms: torch.Tensor, lengths: Sequence[int], /
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute (B, frames, width) features of (B, samples), and their (B,) lengths in frames."""
        ...
