"""Repair: a keyword that is surely spoken takes the place of what the LLM wrote for it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from funasr_sap.models.timestamps import CHINESE

LONGEST = 3  # words that one keyword may take the place of
EDGE = 1e-4  # a confidence is rounded to this, and its log odds stay finite


@dataclass(frozen=True)
class Repair:
    """Which missing keywords are written, and where.

    A keyword goes where the CTC head likes the whole transcript best: over one to three words, or between
    two. It is written if ``margin`` + ``slope`` · log odds of its confidence outweighs the nats that this
    costs.
    Without a CTC head it goes over the words that look most like it.

    Attributes:
        confidence: least confidence of a keyword; above 1 repairs nothing.
        margin: nats that a keyword with even odds may cost.
        slope: nats more for each nat of log odds.
        similarity: without a CTC head, least similarity of the words it replaces, from 0 to 100
            (``rapidfuzz.fuzz.ratio``).
    """

    confidence: float = 0.05
    margin: float = 15.0
    slope: float = 4.0
    similarity: float = 60.0

    def __call__(
        self,
        text: str,
        keywords: Sequence[str],
        scores: Sequence[float],
        likelihoods: Callable[[list[list[str]]], list[float]] | None = None,
    ) -> str:
        """Write the missing keywords, the surest first, none over the only mention of another.

        Args:
            text: a transcript; words between spaces, so Chinese keywords are left out.
            keywords: the kept keywords.
            scores: their confidence.
            likelihoods: gives the log likelihood of texts, lists of words, by the CTC head, in nats; None
                without one.
        """
        words = text.split()
        if not words:  # no speech, no keyword
            return text
        for score, keyword in sorted(zip(scores, keywords, strict=True), reverse=True):
            if score < self.confidence or has_keyword(words, keyword) or CHINESE.search(keyword):
                continue
            written = [other for other in keywords if has_keyword(words, other)]
            if likelihoods is None:
                worth, draft = _most_similar(words, keyword, written)
                wanted = self.similarity
            else:
                worth, draft = best_draft(words, keyword, likelihoods, written)
                wanted = likelihoods([words])[0] - self._allowance(score)
            if worth >= wanted > -math.inf:
                words = draft
        return " ".join(words)

    def _allowance(self, score: float) -> float:
        """What writing a keyword may cost, in nats."""
        return self.margin + self.slope * log_odds(score)


def best_draft(
    words: list[str],
    keyword: str,
    likelihoods: Callable[[list[list[str]]], list[float]],
    written: Sequence[str] = (),
) -> tuple[float, list[str]]:
    """Write a keyword where the CTC head likes the whole best, none of those ``written`` lost by it.

    Returns:
        The log likelihood of the new words, in nats, and the words.
    """
    drafts = [draft for draft, _ in _drafts(words, keyword, written)]
    return max(zip(likelihoods(drafts), drafts, strict=True))


def _most_similar(words: list[str], keyword: str, written: Sequence[str]) -> tuple[float, list[str]]:
    """Write a keyword over the words that look most like it: their similarity, and the new words."""
    drafts = _drafts(words, keyword, written)
    return max((_similarity(stretch, keyword), draft) for draft, stretch in drafts)


def _drafts(words: list[str], keyword: str, written: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Write a keyword everywhere, over up to ``LONGEST`` words: the new words, and those replaced."""
    for start in range(len(words) + 1):
        for end in range(start, min(start + LONGEST, len(words)) + 1):
            draft = words[:start] + keyword.split() + words[end:]
            if all(has_keyword(draft, other) for other in written):
                yield draft, words[start:end]


def has_keyword(words: list[str], keyword: str) -> bool:
    """Tell whether words hold a keyword, whatever its capitals."""
    return f" {keyword} ".casefold() in f" {' '.join(words)} ".casefold()


def log_odds(score: float) -> float:
    """Log odds of a confidence, in nats."""
    score = min(max(score, EDGE), 1 - EDGE)
    return math.log(score / (1 - score))


def _similarity(stretch: list[str], keyword: str) -> float:
    return fuzz.ratio("".join(stretch).casefold(), keyword.casefold().replace(" ", ""))
