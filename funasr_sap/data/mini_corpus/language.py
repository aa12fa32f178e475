"""What differs between the languages of the mini corpus, and between its domains."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from funasr_sap.data.mini_corpus import english, mandarin, radio
from funasr_sap.data.mini_corpus.grammar import Grammar
from funasr_sap.errors import ConfigError


@dataclass(frozen=True)
class Language:
    """A language, or a domain of one: its sentences, its slide patterns and how words become text.

    Args:
        base: the language alone: whose dictionary, and what names are made up.
        grammar: of the sentences.
        titles: grammar of slide titles, whose ``RARE`` tokens stand for rare words.
        bullets: grammar of bullets, likewise.
        join: words -> text.
    """

    base: str
    grammar: Grammar
    titles: tuple[str, ...]
    bullets: tuple[str, ...]
    join: Callable[[Sequence[str]], str]

    @property
    def vocabulary(self) -> frozenset[str]:
        """The common vocabulary: the words of the grammar and of the slide patterns."""
        patterns = " ".join([*self.titles, *self.bullets]).split()
        return self.grammar.vocabulary | {word for word in patterns if not word.isupper()}


MODULES: dict[str, ModuleType] = {"en": english, "en-radio": radio, "zh": mandarin}


@functools.cache
def get_language(lang: str) -> Language:
    """Look a language up by its code."""
    if lang not in MODULES:
        raise ConfigError(f"unknown lang {lang!r}: expected one of {', '.join(MODULES)}")
    module = MODULES[lang]
    base = lang.partition("-")[0]
    return Language(base, module.make_grammar(), tuple(module.TITLES), tuple(module.BULLETS), module.join)
