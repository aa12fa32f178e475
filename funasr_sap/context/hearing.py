"""What a CTC head can hear: the pieces that it has learned, and keywords spelt in these.

A tokenizer can spell everything, down to single bytes; a CTC head has learned what its training data had.
"""

import itertools
import unicodedata

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from funasr_sap.context import phonetics
from funasr_sap.context.biasing_list import KEYWORDS_KEPT, encode_keyword

# Of a row's length: what is nearer to the row of a special token was learned no more than that one. In the
# embedded model, what never occurred is nearer than 0.07, and what occurred once or twice beyond 0.11.
UNLEARNED = 0.1
ENOUGH = 2  # letters of a keyword that are heard, where others are not
SPACES = ("Ġ", "▁")  # how tokenizers write the space before a word
APOSTROPHES = "'\u2019"


def learned_pieces(weight: torch.Tensor, special: list[int]) -> torch.Tensor:
    """Tell which pieces a CTC head has learned, by its weights alone.

    What never is spoken is pushed away by every frame of the training in the same way, so that the rows of
    all such pieces become one. Special tokens are never spoken. Where training has not brought rows together,
    or there is no special token, everything counts as learned.

    Args:
        weight: (V, E) the head's row of each piece.
        special: ids of the special tokens, without the blank.

    Returns:
        (V,) bool, on the CPU.
    """
    if not special:
        return torch.ones(len(weight), dtype=torch.bool)
    weight = weight.detach()
    nearest = torch.full((len(weight),), torch.inf)
    for row in weight[special]:
        distance = torch.linalg.vector_norm(weight - row, dim=1, dtype=torch.float32)
        length = torch.linalg.vector_norm(row, dtype=torch.float32)
        nearest = nearest.minimum((distance / length.clamp(min=1e-6)).cpu())
    return nearest > UNLEARNED


class Hearing:
    """Spells keywords in the pieces that a CTC head has learned.

    Args:
        tokenizer: a transformers tokenizer.
        learned: (V,) bool; see ``learned_pieces``.

    Attributes:
        learned: the same, as an array.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, learned: torch.Tensor):
        self.tokenizer = tokenizer
        self.learned = learned.numpy()
        tokens = tokenizer.convert_ids_to_tokens(self.learned.nonzero()[0].tolist())
        self._ids = {str(token): int(id) for token, id in zip(tokens, self.learned.nonzero()[0], strict=True)}
        self._longest = max(map(len, self._ids), default=0)
        self._words: dict[str, tuple[int, ...]] = {}

    @classmethod
    def of_head(cls, tokenizer: PreTrainedTokenizerFast, weight: torch.Tensor, blank: int) -> "Hearing":
        """Find what the CTC head with these rows, (V, E), has learned."""
        special = {id for id in tokenizer.get_added_vocab().values() if id < len(weight)} - {blank}
        return cls(tokenizer, learned_pieces(weight, sorted(special)))

    def hears(self, ids) -> bool:
        """Tell whether all of these pieces are learned."""
        return bool(self.learned[np.asarray(ids, np.int64)].all())

    def spell(self, word: str) -> tuple[int, ...]:
        """Spell a cleaned keyword as it may be heard: as it is, without capitals, accents, signs.

        What still cannot be heard is left out.

        Returns:
            Piece ids; none where less than two letters are left.
        """
        ids = encode_keyword(self.tokenizer, word)
        if self.hears(ids):
            return ids
        plain = phonetics.plain(word)
        for form in dict.fromkeys((word.casefold(), plain, _without_signs(plain))):
            ids = encode_keyword(self.tokenizer, form)
            if self.hears(ids):
                break
        ids = tuple(itertools.chain.from_iterable(map(self._split, ids)))
        return ids if sum(map(str.isalnum, str(self.tokenizer.decode(list(ids))))) >= ENOUGH else ()

    def spell_word(self, word: str) -> tuple[int, ...]:
        """Spell a word of a transcript, which comes again in many; see ``spell``."""
        if word not in self._words:
            if len(self._words) >= KEYWORDS_KEPT:
                self._words.clear()
            self._words[word] = self.spell(word)
        return self._words[word]

    def _split(self, piece: int) -> tuple[int, ...]:
        """Spell a piece by learned ones, the longest first."""
        if self.learned[piece]:
            return (piece,)
        token, ids = str(self.tokenizer.convert_ids_to_tokens(piece)), []
        while token:
            sizes = range(min(len(token), self._longest), 0, -1)
            size = next((size for size in sizes if token[:size] in self._ids), 0)
            if size and token[:size] not in SPACES:  # a space alone is heard only before a letter
                ids.append(self._ids[token[:size]])
            token = token[size or 1 :]
        return tuple(ids)


def _without_signs(text: str) -> str:
    """Part words where punctuation and symbols stand; apostrophes part none."""
    chars = [char for char in text if char not in APOSTROPHES]
    signs = [unicodedata.category(char)[0] in "PS" for char in chars]
    return " ".join("".join(" " if sign else char for char, sign in zip(chars, signs, strict=True)).split())
