"""Prepared biasing lists on disk: words, spellings and index as arrays that processes share.

What cannot be read is made anew; what cannot be written is kept in memory alone.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

from funasr_sap.context.biasing_list import BiasingList, warn_of_unheard
from funasr_sap.context.keyword_index import KeywordIndex
from funasr_sap.context.spellings import Spellings
from funasr_sap.context.texts import Texts
from funasr_sap.context.vocabulary import Vocabulary
from funasr_sap.data.files import atomic_folder
from funasr_sap.data.mapped_arrays import map_arrays, save_arrays
from funasr_sap.errors import DataError

FORMAT = 4  # of the arrays; raise it when what is stored, or how keywords are cleaned, changes

logger = logging.getLogger(__name__)


class StoredList(BiasingList):
    """A biasing list in a folder; what a model hears of it is kept there as well.

    Attributes:
        folder: of its arrays.
    """

    folder: Path

    @classmethod
    def read(cls, folder: Path) -> StoredList:
        """Map the arrays of a folder.

        Raises:
            OSError, ValueError, KeyError: where they are missing or damaged.
        """
        arrays = map_arrays(folder)
        words = Texts(arrays.pop("words"), arrays.pop("word_starts"))
        given = json.loads(arrays.pop("given").tobytes())
        stored = cls.restore(words, given=given, **_spelling(arrays))
        stored.folder = folder
        return stored

    def _spelt_for(self, hearing) -> BiasingList:
        make = functools.partial(super()._spelt_for, hearing)
        if not self.folder.is_dir():  # deleted
            return make()
        digest = hashlib.sha256(hearing.learned.tobytes()).hexdigest()[:16]
        return _read_or_make(self.folder / f"heard-{digest}", self._read_heard, make, _spelling_arrays)

    def _read_heard(self, folder: Path) -> BiasingList:
        heard = BiasingList.restore(self.words, given=self.given, **_spelling(map_arrays(folder)))
        unheard = np.flatnonzero(heard.ids.lengths == 0).tolist()
        if unheard:
            warn_of_unheard([self.words[place] for place in unheard], len(self))
        return heard


def spell_vocabulary(vocabulary: Vocabulary, tokenizer: PreTrainedTokenizerFast) -> BiasingList:
    """Read a vocabulary as a tokenizer spells it; where that is new, its words are cleaned and spelt.

    Raises:
        DataError: where they are needed, and damaged or gone.
    """

    def make() -> BiasingList:
        logger.info("vocabulary %s: %d words are spelt and indexed", vocabulary.name, len(vocabulary))
        return BiasingList(vocabulary, tokenizer)

    folder = Path(vocabulary.folder, version(vocabulary, tokenizer))
    return _read_or_make(folder, StoredList.read, make, _arrays)


def version(vocabulary: Vocabulary, tokenizer: PreTrainedTokenizerFast) -> str:
    """Name what a vocabulary is for a tokenizer: by its words, the tokenizer, and the arrays' format."""
    return f"{vocabulary.content}-{_spelling_digest(tokenizer)}"


@functools.lru_cache(maxsize=8)
def _spelling_digest(tokenizer: PreTrainedTokenizerFast) -> str:
    source = f"{FORMAT}\n{tokenizer.backend_tokenizer.to_str()}"
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _read_or_make(
    folder: Path,
    read: Callable[[Path], BiasingList],
    make: Callable[[], BiasingList],
    to_arrays: Callable[[BiasingList], dict[str, np.ndarray]],
) -> BiasingList:
    """Read a list from its folder; where it is missing or damaged, make it and write it first."""
    try:
        if folder.exists():
            return read(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s: cannot be read (%s) and is made anew", folder, error)
        shutil.rmtree(folder, ignore_errors=True)
    made = make()
    try:
        with atomic_folder(folder) as temporary:
            save_arrays(temporary, to_arrays(made))
    except (OSError, DataError) as error:
        if not folder.exists():  # else another process was faster
            logger.warning("%s: cannot be written (%s); the list is kept in memory alone", folder, error)
    try:
        return read(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return made


def _arrays(biasing_list: BiasingList) -> dict[str, np.ndarray]:
    words = Texts.join(biasing_list.words)
    given = np.frombuffer(json.dumps(biasing_list.given).encode(), np.uint8)
    own = {"words": words.data, "word_starts": words.starts, "given": given}
    return own | _spelling_arrays(biasing_list)


def _spelling_arrays(biasing_list: BiasingList) -> dict[str, np.ndarray]:
    ids = {"ids": biasing_list.ids.pieces, "starts": biasing_list.ids.starts}
    return ids | vars(biasing_list.index)


def _spelling(arrays: dict[str, np.ndarray]) -> dict:
    """Make of ``_spelling_arrays`` what ``BiasingList.restore`` takes."""
    ids = Spellings.restore(arrays.pop("ids"), arrays.pop("starts"))
    return {"ids": ids, "index": KeywordIndex(**arrays)}
