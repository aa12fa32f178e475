"""Rescoring: of several transcripts, the one that the CTC head and the keywords speak for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from funasr_sap.models.repair import has_keyword, log_odds


@dataclass(frozen=True)
class Rescoring:
    """How transcripts of one utterance, with keywords and without, are weighed against each other.

    The LLM reads less carefully where it is given keywords, and misspells rare words where it is not. A
    transcript is worth the log likelihood of its words by the CTC head (with a span head, the mean of this
    and of the letter head's), and for each kept keyword in it ``margin`` + ``slope`` · log odds of the
    keyword's confidence.

    Attributes:
        margin: nats that a keyword with even odds is worth.
        slope: nats more for each nat of log odds.
    """

    margin: float = 25.0
    slope: float = 6.0

    def __call__(
        self,
        texts: Sequence[str],
        keywords: Sequence[str],
        scores: Sequence[float],
        likelihoods: Callable[[list[list[str]]], list[float]],
    ) -> str:
        """Choose a transcript; the first of those that are worth the same.

        Args:
            texts: the transcripts; words between spaces.
            keywords: the kept keywords.
            scores: their confidence.
            likelihoods: gives the log likelihood of texts, lists of words, in nats.
        """
        words = [text.split() for text in texts]
        worths = [
            heard + self._bonus(written, keywords, scores)
            for heard, written in zip(likelihoods(words), words, strict=True)
        ]
        return texts[worths.index(max(worths))]

    def _bonus(self, words, keywords, scores) -> float:
        """What the kept keywords that are written are worth, in nats."""
        pairs = zip(keywords, scores, strict=True)
        written = [log_odds(score) for keyword, score in pairs if has_keyword(words, keyword)]
        return sum(self.margin + self.slope * odds for odds in written)
