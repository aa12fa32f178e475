"""Prepare texts for scoring: normalisation through well-kept libraries, and what counts as a word."""

import functools
from collections.abc import Callable

from funasr_sap.errors import ConfigError
from funasr_sap.extras import import_extra
from funasr_sap.text.words import space_han

NORMALIZATIONS = {
    "none": "none: texts as they are",
    "en": "transformers' EnglishTextNormalizer, without its table of British spellings",
    "zh": "wetext: simplified characters, half width, numbers as spoken, no punctuation; then lower case",
}
"""What each value of ``--normalize`` does, for people."""

UNITS = {
    "word": "words between white space",
    "char": "each Chinese character, and each run of others between white space and Chinese characters",
}
"""What each value of ``--unit`` scores, for people."""


def text_normalizer(name: str) -> Callable[[str], str]:
    """Return the function that normalises texts and list entries for scoring.

    Args:
        name: a key of NORMALIZATIONS.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in NORMALIZATIONS:
        raise ConfigError(f"unknown normalisation {name!r}: expected one of {', '.join(NORMALIZATIONS)}.")
    if name == "none":
        return lambda text: text
    # Distractors come again in one list after another.
    return functools.lru_cache(maxsize=100_000)(_english() if name == "en" else _chinese())


def _english() -> Callable[[str], str]:
    # Imported here: it takes a second, which scoring without normalisation need not spend.
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    return EnglishTextNormalizer({})


def _chinese() -> Callable[[str], str]:
    normalizer = import_extra("wetext", "the normalisation of Chinese").Normalizer(
        lang="zh", operator="tn", traditional_to_simple=True, full_to_half=True, remove_puncts=True
    )
    return lambda text: normalizer.normalize(text).lower()


def split_characters(text: str) -> str:
    """Put spaces around each Chinese character, so that error rates are those of characters.

    A run of other characters stays one token, up to the next white space: its errors count as one.
    """
    return space_han(text)
