"""Shallow fusion: while it decodes, the LLM is encouraged to spell the kept keywords as they are given.

Symbols:
    B   utterances of a batch   G   pieces generated so far   V   vocabulary
"""

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor


class KeywordBoost(LogitsProcessor):
    """Add a bonus to the pieces that begin or continue a keyword.

    A keyword is begun as often as the caller offers it, and continued wherever the last pieces generated are
    its first ones.

    Args:
        keywords: for each of B utterances its keywords: piece ids, and acoustic evidence in [0, 1].
        start: bonus in nats for the first piece of a keyword that is not written yet.
        inside: bonus in nats for each further piece of a keyword that is being written.
        power: a bonus is scaled by the keyword's evidence to this power.
    """

    def __init__(
        self,
        keywords: Sequence[Sequence[tuple[Sequence[int], float]]],
        start: float,
        inside: float,
        power: float = 1.0,
    ):
        self.keywords = [[(tuple(pieces), score**power) for pieces, score in row] for row in keywords]
        self.start, self.inside = start, inside

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the boosted scores: (B, G) pieces and (B, V) logits to (B, V) logits."""
        gains: dict[tuple[int, int], float] = {}
        for row, (written, keywords) in enumerate(zip(input_ids.tolist(), self.keywords, strict=True)):
            for pieces, weight in keywords:
                progress = _progress(written, pieces)
                if progress:
                    gain = self.inside * weight
                elif not _contains(written, pieces):
                    gain = self.start * weight
                else:
                    continue
                place = row, pieces[progress]
                gains[place] = max(gains.get(place, 0.0), gain)
        if not gains:
            return scores
        rows, columns = torch.tensor(list(gains), device=scores.device).T
        bonus = torch.zeros_like(scores)
        bonus[rows, columns] = torch.tensor(list(gains.values()), dtype=bonus.dtype, device=scores.device)
        return scores + bonus


def _progress(written: list[int], pieces: tuple[int, ...]) -> int:
    """How many of a keyword's pieces end the text so far, short of the whole keyword."""
    for length in range(min(len(pieces) - 1, len(written)), 0, -1):
        if tuple(written[-length:]) == pieces[:length]:
            return length
    return 0


def _contains(written: list[int], pieces: tuple[int, ...]) -> bool:
    size = len(pieces)
    return any(tuple(written[place : place + size]) == pieces for place in range(len(written) - size + 1))
