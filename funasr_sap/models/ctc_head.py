"""What a CTC head hears: its symbols, and how likely it finds texts.

Symbols:
    T   encoder frames   V   vocabulary
"""

import dataclasses
from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerFast

from funasr_sap.context.biasing_list import encode_keyword, encode_text
from funasr_sap.context.hearing import Hearing
from funasr_sap.models.timestamps import AlignedWord, align_words, log_likelihoods
from funasr_sap.text.words import split_words

BLANK = 0  # of a head that shares the LLM's vocabulary


@dataclasses.dataclass(frozen=True)
class CTCHead:
    """The alphabet of a CTC head, which need not be the LLM's.

    Attributes:
        tokenizer: from text to its symbols.
        blank: the blank's id.
        hearing: which symbols it has learned; None where that is not known, as while it learns.
    """

    tokenizer: PreTrainedTokenizerFast
    blank: int = BLANK
    hearing: Hearing | None = None

    def spell(self, text: str) -> list[int]:
        """Spell a transcript, as training does."""
        return encode_text(self.tokenizer, text)

    def greedy(self, log_probs: torch.Tensor) -> list[int]:
        """Follow the greedy path of one utterance, (T, V): its symbols without blanks."""
        path = log_probs.argmax(-1).unique_consecutive()
        return path[path != self.blank].tolist()

    def read(self, symbols: Sequence[int]) -> str:
        """Write symbols as a text."""
        return str(self.tokenizer.decode(list(symbols), skip_special_tokens=True)).strip()

    def score(self, log_probs: torch.Tensor, texts: Sequence[str]) -> list[float]:
        """Score texts by their best CTC paths through (T, V), in nats; minus infinity where none fits."""
        pieces = [[piece for word in text.split() for piece in self._spell_word(word)] for text in texts]
        return log_likelihoods(log_probs, pieces, self.blank)

    def align(self, log_probs: torch.Tensor, text: str, frame_ms: float) -> list[AlignedWord]:
        """Find the words of a text in (T, V), see ``words``; none where the text does not fit."""
        words = [list(self._spell_word(word)) for word in split_words(text)]
        return align_words(log_probs, words, frame_ms, self.blank)

    def _spell_word(self, word: str) -> tuple[int, ...]:
        """Spell a word as it may be heard, or, where it cannot be, as it is written."""
        heard = self.hearing.spell_word(word) if self.hearing else ()
        return heard or encode_keyword(self.tokenizer, word)
