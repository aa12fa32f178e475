"""Random sentences from a context-free grammar: words of open classes become slots for rare words."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Token(NamedTuple):
    """A word of a sentence; ``is_slot``: its class is open, so that a rare word may take its place."""

    word: str
    is_slot: bool


class Grammar:
    """A weighted context-free grammar.

    Args:
        rules: symbol -> alternatives. An alternative is a line of tokens: upper case means a symbol or a word
            class, lower case a word; a leading number is its weight (default 1).
        classes: word class -> its words (see ``words_of``).
        slots: the classes a rare word may replace.
        lengths: fewest and most words of a sentence.
    """

    # Of all derivations about one in three has a fitting length: a thousand failures mean a broken grammar.
    MAX_TRIES = 1000

    def __init__(
        self,
        rules: Mapping[str, Sequence[str]],
        classes: Mapping[str, str],
        slots: Iterable[str],
        lengths: tuple[int, int],
    ):
        self.rules = {symbol: _weighted(alternatives) for symbol, alternatives in rules.items()}
        self.classes = {name: tuple(words_of(text)) for name, text in classes.items()}
        self.slots = frozenset(slots)
        self.lengths = lengths

    @property
    def vocabulary(self) -> frozenset[str]:
        """All words a sentence can have: the common vocabulary."""
        words = {word for phrases in self.classes.values() for phrase in phrases for word in phrase.split()}
        for alternatives, _ in self.rules.values():
            words.update(token for line in alternatives for token in line if not token.isupper())
        return frozenset(words)

    def sample(self, rng: random.Random, start: str = "SENTENCE", num_slots: int = 0) -> list[Token]:
        """Draw a sentence of a fitting length with at least ``num_slots`` slots."""
        fewest, most = self.lengths
        for _ in range(self.MAX_TRIES):
            tokens = self._expand(rng, start, most)
            if len(tokens) in range(fewest, most + 1) and sum(t.is_slot for t in tokens) >= num_slots:
                return tokens
        raise ValueError(f"no sentence of {fewest} to {most} words with {num_slots} slots from {start}")

    def _expand(self, rng: random.Random, start: str, most: int) -> list[Token]:
        """Expand left to right, giving up (a longer list) past ``most`` words."""
        tokens, stack = [], [start]
        while stack and len(tokens) <= most:
            symbol = stack.pop()
            if symbol in self.rules:
                alternatives, weights = self.rules[symbol]
                stack.extend(reversed(rng.choices(alternatives, weights)[0]))
            elif symbol in self.classes:
                phrase = rng.choice(self.classes[symbol]).split()
                tokens.extend(Token(word, symbol in self.slots) for word in phrase)
            else:
                tokens.append(Token(symbol, False))
        return tokens


def fill_slots(tokens: Sequence[Token], words: Sequence[str], rng: random.Random) -> list[str]:
    """Put ``words`` into randomly chosen slots, in their order of choice.

    Args:
        tokens: a sentence with at least as many slots as there are words.
        words: the rare words.
        rng: chooses the slots.
    Returns: the words of the sentence.
    """
    sentence = [token.word for token in tokens]
    slots = [i for i, token in enumerate(tokens) if token.is_slot]
    for position, word in zip(rng.sample(slots, len(words)), words, strict=True):
        sentence[position] = word
    return sentence


def words_of(text: str) -> list[str]:
    """Split a word list at its spaces or, where it has semicolons, into phrases."""
    return [" ".join(phrase.split()) for phrase in text.split(";")] if ";" in text else text.split()


def _weighted(lines: Sequence[str]) -> tuple[list[list[str]], list[int]]:
    alternatives, weights = [], []
    for line in lines:
        tokens = line.split()
        weights.append(int(tokens.pop(0)) if tokens[0].isdigit() else 1)
        alternatives.append(tokens)
    return alternatives, weights
