"""Candidates: the transcripts that an utterance may get, and the choice among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from funasr_sap.decoding.utterance import Utterance
from funasr_sap.models.repair import best_draft
from funasr_sap.text.words import has, tokens

if TYPE_CHECKING:
    from funasr_sap.models.sap2 import SAP2

REACH = 25.0  # nats; what is further behind than this is given up before the LLM is asked, for speed

Score = Callable[[Sequence[str]], list[float]]


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The transcripts that one utterance may get.

    Attributes:
        texts: the transcripts, preferred ones first: of those that are worth the same, the first is chosen.
        worths: what each is worth by all but the LLM, in nats; see ``Rescoring``.
    """

    texts: list[str]
    worths: list[float]


def collect(
    model: SAP2,
    utterance: Utterance,
    kept: dict[str, float],
    doubtful: dict[str, float],
    *,
    repair: bool = True,
) -> Candidates:
    """Gather the transcripts of an utterance: as they are, repaired, and with one more keyword.

    Each keyword that a repaired text lacks is written where the CTC head likes it best, be it over another.

    Args:
        model: says how to repair and what transcripts are worth.
        utterance: one that a CTC head heard.
        kept: the keywords that retrieval kept, and their confidence.
        doubtful: those that are tried all the same.
        repair: False leaves the texts as they are.
    """
    texts, keywords = utterance.texts, {**kept, **doubtful}
    if not any(texts) or (not keywords and len(texts) == 1):  # nothing to choose from
        return Candidates(texts[:1], [0.0])
    found = texts
    if repair:
        repaired = [model.repair(text, [*kept], [*kept.values()], utterance.ctc_score) for text in texts]
        likely = [word for word, score in keywords.items() if score >= model.rescoring.confidence]
        tried = [
            _write(text, word, utterance.ctc_score) for text in dict.fromkeys(repaired) for word in likely
        ]
        found = [*repaired, *texts, *tried]
    found = list(dict.fromkeys(found))
    worths = model.rescoring.worths_without_llm(
        found, [*keywords], [*keywords.values()], utterance.heard_score
    )
    least = max(worths) - REACH
    near = [place for place, worth in enumerate(worths) if worth >= least]
    return Candidates([found[place] for place in near], [worths[place] for place in near])


def choose(
    candidates: Sequence[Candidates],
    weight: float,
    opinions: Callable[[list[int], list[str]], list[float]],
) -> list[str]:
    """Choose a transcript for each utterance; the LLM is asked where there are several.

    Args:
        candidates: of each utterance.
        weight: of the LLM's opinion; 0 does not ask it.
        opinions: gives the LLM's log likelihood of transcripts, each of an utterance, in nats.
    """
    pairs = [(row, text) for row, each in enumerate(candidates) for text in each.texts if len(each.texts) > 1]
    known = {}
    if pairs and weight:
        rows, texts = zip(*pairs, strict=True)
        known = dict(zip(pairs, opinions(list(rows), list(texts)), strict=True))
    chosen = []
    for row, each in enumerate(candidates):
        worths = [
            worth + weight * known.get((row, text), 0.0)
            for text, worth in zip(each.texts, each.worths, strict=True)
        ]
        chosen.append(each.texts[worths.index(max(worths))])
    return chosen


def _write(text: str, keyword: str, score: Score) -> str:
    """Write a keyword that a text lacks; silence stays, and a keyword without letters is not written."""
    if not tokens(text) or not tokens(keyword) or has(keyword, text):
        return text
    return best_draft(text, keyword, score)[1]
