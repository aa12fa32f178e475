"""What a CTC head hears: its symbols, and how likely it finds texts.

Symbols:
    T   encoder frames   V   vocabulary
"""

import dataclasses
from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from funasr_sap.context.biasing_list import encode_keyword, encode_text
from funasr_sap.models.timestamps import AlignedWord, align_words, log_likelihoods
from funasr_sap.text.words import split_words


@dataclasses.dataclass(frozen=True)
class CTCHead:
    """The alphabet of a CTC head, which need not be the LLM's.

    Attributes:
        tokenizer: from text to its symbols.
        blank: the blank's id.
    """

    tokenizer: PreTrainedTokenizerBase
    blank: int = 0

    def spell(self, text: str) -> list[int]:
        """Spell a transcript, as training does."""
        return encode_text(self.tokenizer, text)

    def greedy(self, log_probs: torch.Tensor) -> list[int]:
        """Follow the greedy path of one utterance, (T, V): its symbols without blanks."""
        path = log_probs.argmax(-1).unique_consecutive()
        return path[path != self.blank].tolist()

    def read(self, symbols: Sequence[int]) -> str:
        """Write symbols as a text."""
        return self.tokenizer.decode(list(symbols), skip_special_tokens=True).strip()

    def score(self, log_probs: torch.Tensor, texts: Sequence[str]) -> list[float]:
        """Score texts by their best CTC paths through (T, V), in nats; minus infinity where none fits."""
        words = [[encode_keyword(self.tokenizer, word) for word in text.split()] for text in texts]
        pieces = [[piece for word in each for piece in word] for each in words]
        return log_likelihoods(log_probs, pieces, self.blank)

    def align(self, log_probs: torch.Tensor, text: str, frame_ms: float) -> list[AlignedWord]:
        """Find the words of a text in (T, V), see ``words``; none where the text does not fit."""
        words = [list(encode_keyword(self.tokenizer, word)) for word in split_words(text)]
        return align_words(log_probs, words, frame_ms, self.blank)
