"""Respelling: made-up words that sound like real ones.

A model that sees only real spellings learns to spell; one that also sees ``fotosinthesis``, offered as a
keyword and expected in the transcript, learns to copy what it is offered.
"""

import random
import re

from funasr_sap.text.words import find, replace

# Spellings that sound alike or nearly so; either side may replace the other.
ALIKE = (
    ("ph", "f"), ("ck", "k"), ("c", "k"), ("qu", "kw"), ("x", "ks"), ("i", "y"), ("s", "z"), ("ee", "ea"),
    ("ou", "ow"), ("oo", "u"), ("er", "ur"), ("or", "er"), ("an", "en"), ("in", "en"), ("ai", "ay"),
    ("th", "t"), ("g", "j"), ("v", "w"), ("o", "au"), ("l", "ll"), ("t", "tt"), ("n", "nn"), ("r", "rr"),
    ("m", "mm"), ("a", "ah"), ("e", "eh"), ("sh", "ch"), ("d", "dt"), ("b", "p"), ("ow", "o"), ("y", "ie"),
)  # fmt: skip


def respell(word: str, rng: random.Random, changes: int = 2) -> str:
    """Replace up to ``changes`` places of a word by spellings that sound alike.

    Returns:
        Another word, or the same one where nothing fits.
    """
    pairs = [pair[::step] for pair in ALIKE for step in (1, -1)]
    for _ in range(changes):
        places = [(m.start(), old, new) for old, new in pairs for m in re.finditer(old, word)]
        if not places:
            break
        start, old, new = rng.choice(places)
        word = word[:start] + new + word[start + len(old) :]
    return word


def respell_in_text(text: str, words: list[str], rng: random.Random) -> tuple[str, list[str]]:
    """Respell words of a transcript, each the same way wherever it stands.

    Args:
        text: the transcript.
        words: those of its words that may change.

    Returns:
        The new transcript and the new words, in order; a word that does not stand there stays as it was.
    """
    spelling = {}
    for old in words:
        new, places = respell(old, rng), find(old, text)
        for span in reversed(places):  # from the end: the places before it stay where they are
            text = replace(text, span, new)
        spelling.setdefault(old, new if places else old)
    return text, [spelling[word] for word in words]
