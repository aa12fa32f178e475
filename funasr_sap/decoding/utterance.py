"""What decoding knows of one utterance, and finds out; nothing of it is computed twice.

Symbols:
    T   encoder frames   V   vocabulary   A   letters and the blank
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.keyword import Keyword
from funasr_sap.models.ctc_head import CTCHead
from funasr_sap.models.encoded import Encoded
from funasr_sap.models.language_model import Memory
from funasr_sap.models.letters import BLANK, spell, step_mask
from funasr_sap.models.timestamps import log_likelihoods


class Utterance:
    """One utterance of an encoded batch.

    Args:
        encoded: the batch.
        row: its row there, and in what the language model makes of the batch.
        biasing_list: the keywords that are offered.
        ctc_head: the alphabet of the CTC head.
        frame_ms: milliseconds an encoder frame.

    Attributes:
        memory: what the language model makes of the batch; the decoder puts it here.
        keywords: those that are kept, in the order of the biasing list.
        doubtful: those that retrieval found and did not keep.
        first: the transcript without keywords that retrieval was given, for a model without a CTC head.
        texts: the transcripts to choose from; the first is the preferred one.
        refused: the guards that refused a transcript.
        cut: the preferred transcript was cut off.
    """

    memory: Memory

    def __init__(
        self, encoded: Encoded, row: int, biasing_list: BiasingList, ctc_head: CTCHead, frame_ms: float
    ):
        self.encoded, self.row, self.biasing_list = encoded, row, biasing_list
        self.ctc_head, self.frame_ms = ctc_head, frame_ms
        self.keywords: list[Keyword] = []
        self.doubtful: list[Keyword] = []
        self.first: str | None = None
        self.texts: list[str] = []
        self.refused: list[str] = []
        self.cut = False

    @functools.cached_property
    def seconds(self) -> float:
        """How long the speech is."""
        return int(self.encoded.frame_mask[self.row].sum()) * self.frame_ms / 1000

    @property
    def has_ctc(self) -> bool:
        """Tell whether a CTC head heard the utterance."""
        return self.encoded.log_probs is not None

    @functools.cached_property
    def log_probs(self) -> torch.Tensor:
        """The CTC head's log posteriors, (T, V), without padding."""
        return self.encoded.heard_pieces[self.row, : int(self.encoded.frame_mask[self.row].sum())]

    @functools.cached_property
    def ctc_pieces(self) -> list[int]:
        """The CTC head's greedy path; nothing without a head."""
        return self.ctc_head.greedy(self.log_probs) if self.has_ctc else []

    @functools.cached_property
    def ctc_text(self) -> str:
        """What the CTC head hears, by its greedy path; nothing without a head."""
        return self.ctc_head.read(self.ctc_pieces) if self.has_ctc else ""

    def ctc_score(self, texts: Sequence[str]) -> list[float]:
        """Score texts by the CTC head: log likelihoods in nats."""
        return self.ctc_head.score(self.log_probs, texts)

    def heard_score(self, texts: Sequence[str]) -> list[float]:
        """Score texts by the mean of CTC head and letter head, if there is one, in nats."""
        scores = self.ctc_score(texts)
        if self.encoded.letters is None:
            return scores
        letters = log_likelihoods(self._letters, [spell(text) for text in texts], BLANK)
        return [(a + b) / 2 for a, b in zip(scores, letters, strict=True)]

    @functools.cached_property
    def _letters(self) -> torch.Tensor:
        return self.encoded.heard_letters[self.row][step_mask(self.encoded.frame_mask)[self.row]]
