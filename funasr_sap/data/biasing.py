"""Biasing lists: the rare words of an utterance among distractors drawn from a pool.

As in is21_deep_bias (arXiv:2104.02194), N counts the distractors: a list
has its rare words and N entries more.
"""

import hashlib
import os
import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from funasr_sap.data.kaldi import iter_lines
from funasr_sap.errors import DataError
from funasr_sap.text.words import phrase_key, phrases, tokens


def draw_biasing_list(
    rare_words: Sequence[str],
    pool: Sequence[str],
    num: int,
    rng: random.Random,
    exclude: Collection[str] = frozenset(),
) -> list[str]:
    """Draw a biasing list: the rare words and ``num`` distractors, shuffled, no word twice.

    Costs O(num), whatever the pool's size, as long as ``num`` is well below it. Case makes no difference
    between words.

    Args:
        rare_words: the true words of the utterance.
        pool: words to draw distractors from, without replacement.
        num: how many distractors.
        rng: a ``random.Random``, or the module ``random``.
        exclude: what must not be a distractor, as ``phrases`` has it; ``rare_words`` never are.

    Raises:
        DataError: the pool has fewer than ``num`` words that may be distractors.
    """
    words = list(dict.fromkeys(rare_words))
    taken = {*map(phrase_key, words), *exclude}
    words += _distractors(pool, num, rng, taken)
    rng.shuffle(words)
    return words


def _distractors(pool: Sequence[str], num: int, rng: random.Random, taken: set[str]) -> list[str]:
    """Draw by rejection; where that keeps hitting taken words, sample from what is left of the pool."""
    drawn: list[str] = []
    size = len(pool)
    tries = 4 * num if 2 * num <= size else 0
    while len(drawn) < num and tries > 0:
        tries -= 1
        word = pool[int(rng.random() * size)]
        key = phrase_key(word)
        if key not in taken:
            taken.add(key)
            drawn.append(word)
    if len(drawn) < num:
        left = list({key: word for word in pool if (key := phrase_key(word)) not in taken}.values())
        if len(left) < num - len(drawn):
            raise DataError(
                f"{num} distractors wanted, but only {len(left) + len(drawn)} of the {size} words of the pool"
                " are not spoken in the utterance; give more words or a smaller number"
            )
        drawn += rng.sample(left, num - len(drawn))
    return drawn


def make_biasing_lists(
    keywords: Mapping[str, Sequence[str]],
    pool: Sequence[str],
    num: int,
    seed: int = 0,
    texts: Mapping[str, str] | None = None,
) -> dict[str, list[str]]:
    """Draw the biasing list of each utterance; it does not depend on the other utterances.

    Args:
        keywords: the rare words of each utterance.
        pool: words to draw distractors from.
        num: distractors an utterance.
        seed: of the drawing.
        texts: reference transcripts; what occurs in an utterance's transcript is never its distractor.

    Raises:
        DataError: ids that only one of ``keywords`` and ``texts`` has, or a pool that is too small.
    """
    if texts is not None:
        lonely = [f"{utt_id}: has keywords, no text" for utt_id in keywords if utt_id not in texts]
        lonely += [
            f"{utt_id}: has a text, no keywords (its id alone stands for none)"
            for utt_id in texts
            if utt_id not in keywords
        ]
        if lonely:
            raise DataError.from_lines("utterances without a partner", lonely)
    longest = longest_phrase(pool)
    lists = {}
    for utt_id, rare_words in keywords.items():
        spoken = [*rare_words, *([texts[utt_id]] if texts is not None else [])]
        rng = random.Random(_seed(seed, utt_id))
        try:
            lists[utt_id] = draw_biasing_list(rare_words, pool, num, rng, phrases(spoken, longest))
        except DataError as error:
            raise DataError(f"{utt_id}: {error}") from error
    return lists


def make_shared_list(
    keywords: Mapping[str, Sequence[str]],
    pool: Sequence[str],
    num: int,
    seed: int = 0,
    texts: Mapping[str, str] | None = None,
) -> list[str]:
    """Draw one biasing list for all utterances: the rare words of all, and distractors that nobody says.

    Args:
        keywords: the rare words of each utterance.
        pool: words to draw distractors from.
        num: how many distractors.
        seed: of the drawing.
        texts: reference transcripts.

    Raises:
        DataError: the pool is too small.
    """
    rare_words = [word for words in keywords.values() for word in words]
    longest = longest_phrase(pool)
    spoken = phrases([*rare_words, *(texts or {}).values()], longest)
    return draw_biasing_list(rare_words, pool, num, random.Random(seed), spoken)


def longest_phrase(pool: Iterable[str]) -> int:
    """Count the tokens of the longest word or phrase of a pool."""
    return max((1 if word.isalnum() and word.isascii() else len(tokens(word)) for word in pool), default=0)


def common_words(texts: Iterable[str], num: int) -> list[str]:
    """List the ``num`` most frequent words of transcripts, frequent ones first, ties in alphabetical order.

    The common-5k of is21_deep_bias is that of the LibriSpeech training transcripts.
    """
    counts = Counter(word for text in texts for word in text.split())
    return sorted(counts, key=lambda word: (-counts[word], word))[:num]


def rare_words(text: str, common: Collection[str]) -> list[str]:
    """List the words of a transcript that are not common, in the order spoken, each once."""
    return [word for word in dict.fromkeys(text.split()) if word not in common]


def read_words(path: str | os.PathLike) -> list[str]:
    """Read one word or phrase a line; words that come again are dropped.

    Raises:
        DataError: lines that are not UTF-8, or no word at all.
    """
    problems: list[str] = []
    words = list(dict.fromkeys(line.strip() for _, line in iter_lines(path, problems)))
    if problems:
        raise DataError.from_lines(f"cannot use {path}", problems)
    if not words:
        raise DataError(f"{path} has no words")
    return words


def _seed(seed: int, utt_id: str) -> int:
    # Python's own hash() differs from run to run.
    return int.from_bytes(hashlib.sha256(f"{seed} {utt_id}".encode()).digest()[:8], "big")
