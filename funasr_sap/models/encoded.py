"""What the encoder and its heads make of a batch: computed once, read by every step after them.

Symbols:
    B   utterances of a batch   T   encoder frames   E  encoder width
    V   vocabulary              A   letters and the blank
"""

import dataclasses
from collections.abc import Sequence

import torch

from funasr_sap.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A batch as the encoder hears it.

    Attributes:
        frames: (B, T, E) encoder output.
        frame_mask: (B, T) bool, True = valid.
        feature_lengths: (B,) feature frames that the encoder was given.
        log_probs: (B, T, V) CTC log posteriors; None without a CTC head.
        letters: (B, 2 T, A) log posteriors of letters; None without a span head.
    """

    frames: torch.Tensor
    frame_mask: torch.Tensor
    feature_lengths: torch.Tensor
    log_probs: torch.Tensor | None = None
    letters: torch.Tensor | None = None

    @property
    def heard_pieces(self) -> torch.Tensor:
        """``log_probs``, of a model that must have a CTC head; ConfigError where it has none."""
        if self.log_probs is None:
            raise ConfigError("this model has no CTC head (ctc: null)")
        return self.log_probs

    @property
    def heard_letters(self) -> torch.Tensor:
        """``letters``, of a model that must have a span head; ConfigError where it has none."""
        if self.letters is None:
            raise ConfigError("this model has no span head (span_head: null)")
        return self.letters

    def select(self, rows: Sequence[int]) -> "Encoded":
        """Take some utterances of the batch, some perhaps several times."""
        return select(self, rows)


def select(batch, rows: Sequence[int]):
    """Take rows of a dataclass of tensors (B, ...), of which some may be None."""
    fields = {each.name: getattr(batch, each.name) for each in dataclasses.fields(batch)}
    rows = list(rows)
    return type(batch)(**{name: None if value is None else value[rows] for name, value in fields.items()})
