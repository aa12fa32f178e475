"""Repair: a keyword that is surely spoken takes the place of what the LLM wrote for it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from funasr_sap.text.words import Span, find, has, is_unspaced, replace, tokens, words

LONGEST = 3  # words that one keyword may take the place of
LONGER = 2  # of scripts without blanks: characters more than the keyword has
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
        likelihoods: Callable[[list[str]], list[float]] | None = None,
    ) -> str:
        """Write the missing keywords, the surest first, none over the only mention of another.

        Args:
            text: a transcript; of no words where no speech was heard, then it stays as it is.
            keywords: the kept keywords.
            scores: their confidence.
            likelihoods: gives the log likelihood of texts by the CTC head, in nats; None without one.
        """
        if not tokens(text):
            return text
        for score, keyword in sorted(zip(scores, keywords, strict=True), reverse=True):
            if score < self.confidence or has(keyword, text) or not tokens(keyword):
                continue
            written = [other for other in keywords if has(other, text)]
            if likelihoods is None:
                worth, draft = _most_similar(text, keyword, written)
                wanted = self.similarity
            else:
                worth, draft = best_draft(text, keyword, likelihoods, written)
                wanted = likelihoods([text])[0] - self._allowance(score)
            if worth >= wanted > -math.inf:
                text = draft
        return text

    def _allowance(self, score: float) -> float:
        """What writing a keyword may cost, in nats."""
        return self.margin + self.slope * log_odds(score)


def best_draft(
    text: str,
    keyword: str,
    likelihoods: Callable[[list[str]], list[float]],
    written: Sequence[str] = (),
) -> tuple[float, str]:
    """Write a keyword where the CTC head likes the whole best, none of those ``written`` lost by it.

    Returns:
        The log likelihood of the new text, in nats, and the text.
    """
    drafts = [draft for draft, _ in _drafts(text, keyword, written)]
    return max(zip(likelihoods(drafts), drafts, strict=True))


def _most_similar(text: str, keyword: str, written: Sequence[str]) -> tuple[float, str]:
    """Write a keyword over the words that look most like it: their similarity, and the new text."""
    drafts = _drafts(text, keyword, written)
    return max((_similarity(stretch, keyword), draft) for draft, stretch in drafts)


def _drafts(text: str, keyword: str, written: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Write a keyword everywhere, between two words or over some: the new text, and what was replaced.

    The punctuation around what is replaced stays.
    """
    places, longest = _cores(text), LONGEST
    if is_unspaced(keyword[0]):
        longest = max(longest, len(words(keyword)) + LONGER)
    mentions = [find(other, text) for other in written if not has(other, keyword)]
    for start in range(len(places) + 1):
        before = places[start].start if start < len(places) else places[-1].end
        for end in range(start, min(start + longest, len(places)) + 1):
            span = Span(before, places[end - 1].end if end > start else before)
            if not any(all(_breaks(span, each) for each in spans) for spans in mentions):
                yield replace(text, span, keyword), text[span.start : span.end]


def _breaks(span: Span, mention: Span) -> bool:
    """Tell whether what is written over a stretch, or into it, takes a mention away."""
    if span.start == span.end:
        return mention.start < span.start < mention.end
    return span.start < mention.end and mention.start < span.end


def _cores(text: str) -> list[Span]:
    """Find the words of a text without the punctuation around them."""
    found, cores = tokens(text), []
    for start, end in words(text):
        inside = [token for token in found if start <= token.start < end]
        cores.append(Span(inside[0].start, inside[-1].end))
    return cores


def log_odds(score: float) -> float:
    """Log odds of a confidence, in nats."""
    score = min(max(score, EDGE), 1 - EDGE)
    return math.log(score / (1 - score))


def _similarity(stretch: str, keyword: str) -> float:
    return fuzz.ratio(*("".join(each.casefold().split()) for each in (stretch, keyword)))
