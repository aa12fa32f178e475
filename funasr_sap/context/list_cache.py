"""Biasing lists, prepared once: long ones and vocabularies are kept in memory, and on disk if asked to."""

import functools
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future

from transformers import PreTrainedTokenizerFast

from funasr_sap.context.biasing_list import LONG, BiasingList
from funasr_sap.context.stored_list import spell_vocabulary
from funasr_sap.context.vocabulary import Vocabulary, VocabularyStore
from funasr_sap.text.hotwords import Hotwords, ReadList

KEYWORDS = 2_000_000  # of the lists in memory; 200,000 take about 30 MB


def prepare_list(
    words: Sequence[str] | ReadList,
    tokenizer: PreTrainedTokenizerFast,
    index_dir: str | os.PathLike | None = None,
) -> BiasingList:
    """Clean and tokenise a biasing list, unless that was done before.

    Args:
        words: keywords as users write them, or a vocabulary, whose words are not looked at again.
        tokenizer: a transformers tokenizer.
        index_dir: folder that keeps long lists for later runs, a ``VocabularyStore``; None for memory only.

    Raises:
        DataError: for a vocabulary that is damaged.
    """
    if isinstance(words, Vocabulary):
        return PREPARED.get((words, tokenizer), functools.partial(spell_vocabulary, words, tokenizer))
    if len(words) < LONG:
        return BiasingList(words, tokenizer)
    index_dir = index_dir and os.fspath(index_dir)
    key = tuple(words), tokenizer, index_dir
    return PREPARED.get(key, functools.partial(_prepare_long, *key))


def _prepare_long(
    words: tuple[str, ...], tokenizer: PreTrainedTokenizerFast, index_dir: str | None
) -> BiasingList:
    if not index_dir:
        return BiasingList(words, tokenizer)
    return spell_vocabulary(VocabularyStore(index_dir).put(None, Hotwords(words)), tokenizer)


class ListCache:
    """Prepared lists by what they are made of; the one that was not asked for the longest goes first.

    Threads that ask for a list that is being made wait for it; others do not.

    Args:
        keywords: of all lists together; the last one stays in any case.
    """

    def __init__(self, keywords: int):
        self.keywords = keywords
        self._lists: OrderedDict[Hashable, Future[BiasingList]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], BiasingList]) -> BiasingList:
        """Find a list, or make it."""
        with self._lock:
            found = self._lists.get(key)
            future = self._lists.setdefault(key, found or Future())
            self._lists.move_to_end(key)
        if found is None:
            try:
                future.set_result(make())
            except BaseException as error:  # an interruption, too: others must not wait for ever
                future.set_exception(error)
            self._forget()
        return future.result()

    def clear(self) -> None:
        """Forget all lists."""
        with self._lock:
            self._lists.clear()

    def _forget(self) -> None:
        """Let go of what could not be made, and of the oldest lists where there is too much."""
        with self._lock:
            done = {key: future for key, future in self._lists.items() if future.done()}
            sizes = {key: 0 if future.exception() else len(future.result()) for key, future in done.items()}
            total = sum(sizes.values())
            for key, size in sizes.items():
                if done[key].exception() or (total > self.keywords and key != next(reversed(self._lists))):
                    del self._lists[key]
                    total -= size


PREPARED = ListCache(KEYWORDS)
