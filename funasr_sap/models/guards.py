"""Guards against what language models invent: loops, transcripts cut short, keywords that nobody said."""

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from funasr_sap.errors import ConfigError
from funasr_sap.models.builder import build
from funasr_sap.text.words import split_words

LONGEST_LOOP = 8  # words that may repeat together


@dataclass(frozen=True)
class Guards:
    """Which transcripts are not believed; 0 turns a guard off.

    Attributes:
        silence: fewest pieces that the CTC head must hear; with fewer there is no text, and no keyword.
        repetition: times that the same words may stand one after another.
        compression: bytes of a transcript a byte of it compressed by zlib; loops compress well (Whisper).
        shortest: fewest words of a transcript, as a share of those that the CTC head hears.
        evidence: least confidence of a keyword that is written.
    """

    silence: int = 1
    repetition: int = 4
    compression: float = 2.4
    shortest: float = 0.5
    evidence: float = 0.0

    def broken(self, text: str, heard: str) -> str | None:
        """Name the guard that a transcript fails, if it fails one.

        Args:
            text: the transcript.
            heard: what the CTC head hears, by its greedy path.

        Returns:
            "repetition", "compression", "shortest" or None.
        """
        words = split_words(text.casefold())
        if self.repetition and longest_loop(words) > self.repetition:
            return "repetition"
        if self.compression and compression_ratio(text) > self.compression:
            return "compression"
        if self.shortest and len(words) < self.shortest * len(split_words(heard)):
            return "shortest"
        return None


def choose_guards(own: Guards, wanted: Mapping | bool | None) -> Guards:
    """Change a model's own guards: None and True for those, False for none, a mapping for some of them.

    Raises:
        ConfigError: for what is none of these, and for unknown guards.
    """
    if wanted is None or wanted is True:
        return own
    if wanted is False:
        return Guards(**dict.fromkeys(asdict(own), 0))
    if not isinstance(wanted, Mapping):
        raise ConfigError(f"guards: expected true, false or a mapping of settings, got {wanted!r}")
    return build("guards", Guards, {**asdict(own), **wanted})


def compression_ratio(text: str) -> float:
    """Bytes of a text a byte of it compressed, at least 0."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def longest_loop(words: list[str]) -> int:
    """Count how often the same words, up to ``LONGEST_LOOP`` of them, stand one after another at most."""
    most = min(1, len(words))
    for size in range(1, min(LONGEST_LOOP, len(words) // 2) + 1):
        run = 0
        for place in range(size, len(words)):
            run = run + 1 if words[place] == words[place - size] else 0
            most = max(most, run // size + 1)
    return most
