"""Rescoring: of several transcripts, the one that CTC head, letters, keywords and LLM speak for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from funasr_sap.context.retrieval import check_threshold
from funasr_sap.models.repair import log_odds
from funasr_sap.text.words import has


@dataclass(frozen=True)
class Rescoring:
    """How the transcripts that an utterance may get are weighed against each other.

    The LLM reads less carefully where it is given keywords, and misspells rare words where it is not. A
    transcript is worth the log likelihood of its words by the CTC head (with a span head, the mean of this
    and of the letter head's); for each keyword in it ``margin`` + ``slope`` · log odds of the keyword's
    confidence; and ``llm`` times its log likelihood by the LLM without keywords: of common words the LLM is
    sure, so a keyword that only sounds like one costs much; of rare words, which it spells by ear, it is not.

    Attributes:
        margin: nats that a keyword with even odds is worth.
        slope: nats more for each nat of log odds.
        llm: weight of the LLM's log likelihood; 0 does without.
        confidence: least confidence of a keyword that is tried, kept by retrieval or not.

    Raises:
        ConfigError: for a ``confidence`` outside of [0, 1].
    """

    margin: float = 40.0
    slope: float = 6.0
    llm: float = 1.5
    confidence: float = 0.01

    def __post_init__(self):
        check_threshold(self.confidence, "rescoring_conf.confidence")

    def worths_without_llm(
        self,
        texts: Sequence[str],
        keywords: Sequence[str],
        scores: Sequence[float],
        likelihoods: Callable[[list[str]], list[float]],
    ) -> list[float]:
        """Weigh transcripts by all but the LLM.

        Args:
            texts: the transcripts.
            keywords: those that may be in them.
            scores: their confidence.
            likelihoods: gives the log likelihood of texts, in nats.

        Returns:
            What each is worth, in nats.
        """
        return [
            heard + self._bonus(text, keywords, scores)
            for heard, text in zip(likelihoods(list(texts)), texts, strict=True)
        ]

    def _bonus(self, text: str, keywords, scores) -> float:
        """What the keywords that are written are worth, in nats."""
        pairs = zip(keywords, scores, strict=True)
        written = [log_odds(score) for keyword, score in pairs if has(keyword, text)]
        return sum(self.margin + self.slope * odds for odds in written)
