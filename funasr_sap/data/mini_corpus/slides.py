"""Slides of a talk, and what an OCR makes of them."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from funasr_sap.data.mini_corpus.language import Language

# What OCR engines mix up in small fonts.
CONFUSIONS = (
    ("rn", "m"),
    ("m", "rn"),
    ("cl", "d"),
    ("l", "1"),
    ("i", "l"),
    ("o", "0"),
    ("e", "c"),
    ("h", "b"),
)
CONFUSIONS += (("u", "v"), ("w", "vv"), ("t", "f"), ("g", "q"), ("s", "5"), ("a", "o"), ("n", "u"))
MISREAD, SPLIT, MISSED = 0.04, 0.03, 0.03
FOOTERS = ("copyright", "lecture", "draft", "all rights reserved", "slide", "source", "fig.")
STOP_WORDS = frozenset(("the", "of", "and", "or", "to", "in", "from", "的", "和"))


@dataclass(frozen=True)
class Slide:
    """A slide: ``rare_words`` are all that its speaker may say, ``ocr`` what was read from it, in order."""

    title: str
    bullets: tuple[str, ...]
    rare_words: tuple[str, ...]
    ocr: tuple[str, ...]


def make_slide(
    rare_words: Sequence[str], language: Language, number: int, site: str, rng: random.Random
) -> Slide:
    """Lay rare words out on a slide and read it.

    Args:
        rare_words: each stands at least once on the slide.
        language: patterns of titles and bullets.
        number: page number of the slide, from 1.
        site: made-up name in the addresses of the talk.
        rng: draws patterns and reading errors.
    """
    queue = list(rare_words)
    title = _fill(rng.choice(language.titles), queue, rare_words, language, rng)
    bullets = []
    while queue or len(bullets) < 2:
        bullets.append(_fill(rng.choice(language.bullets), queue, rare_words, language, rng))
    words = [word for line in (title, *bullets) for word in line if word not in STOP_WORDS]
    return Slide(
        title=language.join(title),
        bullets=tuple(language.join(line) for line in bullets),
        rare_words=tuple(rare_words),
        ocr=tuple([*_misread(words, rng), *_clutter(number, site, rng)]),
    )


def read_slides(slides: Sequence[Slide], index: int) -> tuple[str, ...]:
    """What the OCR read on a slide and its two neighbours, each entry once, the current slide first."""
    order = [index, index - 1, index + 1]
    return tuple(dict.fromkeys(word for i in order if 0 <= i < len(slides) for word in slides[i].ocr))


def _fill(
    pattern: str, queue: list[str], rare_words: Sequence[str], language: Language, rng: random.Random
) -> list[str]:
    """Fill a pattern, taking rare words from the queue as long as it has any."""
    words = []
    for token in pattern.split():
        if token == "RARE":
            words.append(queue.pop(0) if queue else rng.choice(rare_words))
        elif token.isupper():
            name = token if token in language.grammar.classes else f"{token}_S"
            words.append(rng.choice(language.grammar.classes[name]))
        else:
            words.append(token)
    return words


def _misread(words: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Yield words as read: some misread, some split in two, some missed."""
    for word in words:
        fate = rng.random()
        if fate < MISREAD:
            yield _confuse(word, rng)
        elif fate < MISREAD + SPLIT and len(word) > 2:
            cut = rng.randrange(1, len(word))
            yield from (word[:cut], word[cut:])
        elif fate >= MISREAD + SPLIT + MISSED:
            yield word


def _confuse(word: str, rng: random.Random) -> str:
    """Misread one place of a word; where no confusion fits (Han characters) its last character is lost."""
    options = [(m.start(), old, new) for old, new in CONFUSIONS for m in re.finditer(old, word)]
    if not options:
        return word[:-1] or word
    start, old, new = rng.choice(options)
    return word[:start] + new + word[start + len(old) :]


def _clutter(number: int, site: str, rng: random.Random) -> Iterator[str]:
    """Yield page numbers, addresses and footers."""
    if rng.random() < 0.8:
        yield str(number)
    if rng.random() < 0.5:
        yield f"www.{site}.{rng.choice(('org', 'edu', 'com'))}"
    if rng.random() < 0.2:
        yield f"https://{site}.io/p{rng.randrange(1, 400)}"
    if rng.random() < 0.4:
        yield from rng.choice(FOOTERS).split()
    if rng.random() < 0.3:
        yield str(rng.randrange(1990, 2026))
