"""A keyword that retrieval has found in an utterance, with what speaks for it."""

import dataclasses

import torch

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.retrieval import Shortlist


@dataclasses.dataclass(frozen=True, eq=False)
class Keyword:
    """A keyword of one utterance.

    Attributes:
        text: as it is looked for, and written in prompts.
        given: as the user writes it.
        position: in its biasing list.
        pieces: its token ids, as it is spelt in the middle of a sentence.
        confidence: the probability that it is spoken, in [0, 1].
        features: (6,) the evidence that the LLM is given.
        is_kept: retrieval keeps it; the others are doubtful.
    """

    text: str
    given: str
    position: int
    pieces: tuple[int, ...]
    confidence: float
    features: torch.Tensor
    is_kept: bool

    @property
    def score(self) -> float:
        """The confidence as it is reported, to four digits."""
        return round(self.confidence, 4)


def found_keywords(shortlist: Shortlist | None, lists: list[BiasingList]) -> list[list[Keyword]]:
    """Name what a shortlist holds: of each utterance its keywords, by falling confidence.

    Args:
        shortlist: of B utterances; None where all lists are empty.
        lists: their biasing lists.
    """
    if shortlist is None:
        return [[] for _ in lists]
    columns = (shortlist.index.tolist(), shortlist.confidence.tolist(), shortlist.mask.tolist())
    return [
        [
            Keyword(
                each.words[position],
                each.given.get(each.words[position], each.words[position]),
                position,
                each.ids[position],
                confidence,
                features,
                is_kept,
            )
            for position, confidence, is_kept, features in zip(*row, evidence, strict=True)
            if is_kept or confidence  # a row of padding has the confidence 0
        ]
        for each, evidence, *row in zip(lists, shortlist.features, *columns, strict=True)
    ]


def offered_keywords(biasing_list: BiasingList) -> tuple[Keyword, ...]:
    """Name a whole list, as it is given to the language model where nothing is retrieved from it."""
    features = torch.zeros(Shortlist.NUM_FEATURES)
    pairs = enumerate(zip(biasing_list.words, biasing_list.ids, strict=True))
    return tuple(Keyword(word, word, place, ids, 0.0, features, True) for place, (word, ids) in pairs)


def scores(keywords: list[Keyword], least: float = 0.0) -> dict[str, float]:
    """Name the confidence of keywords, of those with at least ``least``, as it is reported."""
    return {each.text: each.score for each in keywords if each.score >= least}
