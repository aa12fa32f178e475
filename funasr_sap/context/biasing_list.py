"""Biasing lists: what users offer as hotwords, cleaned, tokenised and ready to be looked for.

Symbols: N keywords of a list, L pieces of the longest keyword. Masks are bool, True = valid.
"""

import functools
import itertools
import logging
import string
import threading
import unicodedata
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeVar

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from funasr_sap.context import phonetics
from funasr_sap.context.keyword_index import KeywordIndex
from funasr_sap.context.spellings import Spellings, pack
from funasr_sap.text.words import fold, has_no_blanks

logger = logging.getLogger(__name__)

PUNCTUATION = "。，、；：！？…．"  # of Chinese and Japanese, which is no part of a keyword at its edges
MAX_KEYWORD_CHARS = 100  # a keyword is a name or a phrase, not a page of text
KEYWORDS_KEPT = 1 << 18  # cleaned and spelt: many lists share most of their keywords
NAMED = 5  # keywords that a warning names
_unheard_before = set()  # keywords that a warning has named, or counted
LONG = 2_048  # keywords of a list that is worth keeping, and sharing between utterances


def clean_keyword(word: str, form: Literal["NFC", "NFKC"] = "NFKC") -> str:
    """Neutralise one keyword: it is data, and never changes a prompt's structure.

    Control characters become spaces, Chinese punctuation around it goes, ``<|`` and ``|>`` (the brackets of
    special tokens) vanish, so do soft hyphens and other invisible signs, white space is folded. What a
    tokenizer would still read as a special token is handled by ``encode_text``.

    Args:
        word: a keyword as the user writes it.
        form: Unicode's normal form: "NFKC" makes full-width letters, ligatures and the like what they sound
            like, "NFC" leaves them as they are.
    """
    if not word.isascii():
        word = word.strip(PUNCTUATION + string.whitespace)
    if not word.isprintable():  # all is printable but the categories C and Z, and the space
        word = "".join(char for char in word if unicodedata.category(char) != "Cf")
    word = unicodedata.normalize(form, word)
    if not word.isprintable():
        word = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in word)
    while "<|" in word or "|>" in word:
        word = word.replace("<|", " ").replace("|>", " ")
    return " ".join(word.split())


def encode_text(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Tokenise text that is data: whatever looks like a special token is spelt out."""
    return tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)


List = TypeVar("List", bound="BiasingList")


class BiasingList:
    """The keywords offered for an utterance, in the order given, empty and double ones left out.

    Of keywords that differ only in case, which sound alike, the first spelling stays. A keyword of more than
    100 characters is left out, with a warning.

    Args:
        words: keywords as users write them.
        tokenizer: a transformers tokenizer.

    Attributes:
        words: the N cleaned keywords, as they are looked for.
        given: how the user writes those that are looked for in another form, as in full-width letters.
        ids: the piece ids of each, as they are spelt in the middle of a sentence.
    """

    _lock: threading.RLock
    _index: KeywordIndex | None
    _by_sound: "BiasingList | None"
    _heard: weakref.WeakKeyDictionary

    def __init__(self, words: Iterable[str], tokenizer: PreTrainedTokenizerFast):
        found = {}
        for keyword in map(prepared_keywords(tokenizer).__getitem__, words):  # unpacked, it takes longer
            found.setdefault(keyword[0], keyword)
        found.pop("", None)
        self.words = [keyword[1] for keyword in found.values()]
        self.given = {keyword[1]: keyword[3] for keyword in found.values() if keyword[3] != keyword[1]}
        self.ids = Spellings.join([keyword[2] for keyword in found.values()])

    def __new__(cls, *args, **more):
        """Make what threads share: a list is spelt otherwise, and indexed, once."""
        made = super().__new__(cls)
        made._lock = threading.RLock()
        made._index = made._by_sound = None
        made._heard = weakref.WeakKeyDictionary()  # by what hears it: models come and go
        return made

    @classmethod
    def restore(
        cls: type[List],
        words: Sequence[str],
        ids: Spellings,
        given: dict[str, str] | None = None,
        index: KeywordIndex | None = None,
    ) -> List:
        """Put together a list whose keywords were cleaned and spelt before."""
        restored = cls.__new__(cls)
        restored.words, restored.ids, restored.given, restored._index = words, ids, given or {}, index
        return restored

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __len__(self):
        return len(self.words)

    @property
    def index(self) -> KeywordIndex:
        """What the list is searched with; built when it is first needed."""
        with self._lock:
            if self._index is None:
                self._index = KeywordIndex.build(self.ids)
            return self._index

    @functools.cached_property
    def num_heard(self) -> int:
        """How many keywords have any piece."""
        return int((self.ids.lengths > 0).sum())

    @property
    def by_sound(self) -> "BiasingList":
        """The same keywords spelt in the sounds of ``phonetics``; one without any is never heard."""
        with self._lock:
            if self._by_sound is None:
                self._by_sound = self._respelt(range(len(self)), phonetics.spell)
            return self._by_sound

    def heard_by(self, hearing) -> "BiasingList":
        """The same keywords spelt in pieces that a model has learned; see ``Hearing``."""
        with self._lock:
            if hearing not in self._heard:
                heard = hearing.hears(self.ids.pieces)
                self._heard[hearing] = self if heard else self._spelt_for(hearing)
            return self._heard[hearing]

    def _spelt_for(self, hearing) -> "BiasingList":
        unlearned = np.flatnonzero(~hearing.learned[self.ids.pieces])
        places = np.unique(self.ids.starts.searchsorted(unlearned, "right") - 1)
        return self._respelt(places.tolist(), hearing.spell_word)

    def _respelt(self, places: Sequence[int], spell: Callable[[str], Sequence[int]]) -> "BiasingList":
        """Spell the keywords at ``places`` otherwise; those that then have no piece are named."""
        spelt = {place: np.fromiter(spell(self.words[place]), np.int32) for place in places}
        unheard = [self.words[place] for place, pieces in spelt.items() if not len(pieces)]
        if unheard:
            warn_of_unheard(unheard, len(self))
        return BiasingList.restore(self.words, self.ids.change(spelt), self.given)


def warn_of_unheard(words: Sequence[str], number: int) -> None:
    """Name those of ``number`` keywords that are never heard, each once: lists often share them."""
    new = [word for word in words if word not in _unheard_before]
    if len(_unheard_before) > KEYWORDS_KEPT:
        _unheard_before.clear()
    _unheard_before.update(new)
    if new:
        logger.warning(
            "hotwords: %d of %d left out, with no sound that this model knows: %s; write words as they are "
            "spoken, in a script that the model was trained on",
            len(words),
            number,
            ", ".join(f"{word:.40}" for word in new[:NAMED]) + (", ..." if len(new) > NAMED else ""),
        )


@functools.lru_cache(maxsize=4)
def prepared_keywords(tokenizer: PreTrainedTokenizerFast) -> "PreparedKeywords":
    """Find what a tokenizer has spelt before."""
    return PreparedKeywords(tokenizer)


class PreparedKeywords(dict):
    """What ``prepare_keyword`` makes of keywords, by what the user wrote; what is too long is not kept."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        super().__init__()
        self.tokenizer = tokenizer

    def __missing__(self, word: str) -> tuple[str, str, bytes, str]:
        keyword = prepare_keyword(self.tokenizer, word)
        if len(self) >= KEYWORDS_KEPT:
            for older in list(self)[: KEYWORDS_KEPT // 2]:  # two long lists may share the newer ones
                self.pop(older, None)
        if len(word) <= MAX_KEYWORD_CHARS:
            self[word] = keyword
        return keyword


def prepare_keyword(tokenizer: PreTrainedTokenizerFast, word: str) -> tuple[str, str, bytes, str]:
    """Clean and tokenise one keyword.

    Returns:
        What makes it the same as another, "" where nothing is left to listen for; the cleaned keyword; its
        piece ids, packed; and the keyword as the user writes it.
    """
    keyword = clean_keyword(word)
    if len(keyword) > MAX_KEYWORD_CHARS:
        logging.warning(
            "hotwords: a keyword of %d characters is left out (at most %d): %.40s...",
            len(keyword),
            MAX_KEYWORD_CHARS,
            keyword,
        )
        return "", "", b"", ""
    ids = encode_keyword(tokenizer, keyword) if keyword else ()
    given = keyword if word.isascii() else clean_keyword(word, "NFC")
    return fold(keyword) if ids else "", keyword, pack(ids), given


@functools.lru_cache(maxsize=KEYWORDS_KEPT)
def encode_keyword(tokenizer: PreTrainedTokenizerFast, word: str) -> tuple[int, ...]:
    """Tokenise a cleaned keyword as it is spelt in the middle of a sentence: Chinese has no blank there."""
    if has_no_blanks(word):
        before = encode_text(tokenizer, ",")
        ids = encode_text(tokenizer, "," + word)
        if ids[: len(before)] == before:
            return tuple(ids[len(before) :])
    return tuple(encode_text(tokenizer, " " + word))


def pad_ids(ids: Sequence[Sequence[tuple[int, ...]]], device=None) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack the pieces of B times N keywords.

    Returns:
        pieces: (B, N, L) long, 0 where padded.
        mask: (B, N, L) bool; a padded keyword has no valid piece.
    """
    lengths = [torch.from_numpy(np.fromiter(map(len, row), np.int64, len(row))) for row in ids]
    lengths = pad_sequence(lengths, batch_first=True)
    mask = torch.arange(max(int(lengths.max()), 1) if lengths.numel() else 1) < lengths[..., None]
    pieces = torch.zeros(mask.shape, dtype=torch.long)
    keywords = itertools.chain.from_iterable(ids)
    pieces[mask] = torch.from_numpy(np.fromiter(itertools.chain.from_iterable(keywords), np.int64))
    return pieces.to(device), mask.to(device)
