"""Repair: a keyword that is surely spoken takes the place of what the LLM wrote for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from funasr_sap.models.timestamps import CHINESE

LONGEST = 3  # words that may stand for one keyword


@dataclass(frozen=True)
class Repair:
    """Which keywords are written over similar words.

    Attributes:
        confidence: least confidence of a keyword; above 1 repairs nothing.
        similarity: least similarity of the words it replaces, from 0 to 100 (``rapidfuzz.fuzz.ratio``).
    """

    confidence: float = 0.5
    similarity: float = 60.0

    def __call__(self, text: str, keywords: Sequence[str], scores: Sequence[float]) -> str:
        """Write the missing keywords over the words most like them, the surest keyword first.

        Args:
            text: a transcript; words between spaces, so Chinese keywords are left out.
            keywords: the kept keywords.
            scores: their confidence.
        """
        words, kept = text.split(), {keyword.casefold() for keyword in keywords}
        for score, keyword in sorted(zip(scores, keywords, strict=True), reverse=True):
            written = f" {' '.join(words)} ".casefold()
            if score < self.confidence or f" {keyword} ".casefold() in written or CHINESE.search(keyword):
                continue
            similarity, start, end = _most_similar(words, keyword.casefold(), kept)
            if similarity >= self.similarity:
                words[start:end] = keyword.split()
        return " ".join(words)


def _most_similar(words: list[str], keyword: str, kept: set[str]) -> tuple[float, int, int]:
    """Find the stretch that looks most like a keyword: similarity, its first word, the one after it."""
    best = (0.0, 0, 0)
    for start in range(len(words)):
        for end in range(start + 1, min(start + LONGEST, len(words)) + 1):
            stretch = [word.casefold() for word in words[start:end]]
            if kept.intersection(stretch):
                break
            best = max(best, (fuzz.ratio("".join(stretch), keyword.replace(" ", "")), start, end))
    return best
