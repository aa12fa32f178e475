"""Candidates: the transcripts that an utterance may get, and the choice among them."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

from funasr_sap.context.biasing_list import encode_keyword
from funasr_sap.models.answers import score_texts
from funasr_sap.models.letters import spell, step_mask
from funasr_sap.models.repair import best_draft, has_keyword
from funasr_sap.models.speech import BLANK, Speech
from funasr_sap.models.timestamps import CHINESE, log_likelihoods

REACH = 25.0  # nats; what is further behind than this is given up before the LLM is asked, for speed


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
    model,
    speech: Speech,
    row: int,
    texts: Sequence[str],
    kept: dict[str, float],
    doubtful: dict[str, float],
    *,
    repair: bool = True,
) -> Candidates:
    """Gather the transcripts of an utterance: as they are, repaired, and with one more keyword.

    Each keyword that a repaired text lacks is written where the CTC head likes it best, be it over another.

    Args:
        model: a ``SAP2`` with a CTC head.
        speech: the encoded batch.
        row: the utterance.
        texts: its transcripts.
        kept: the keywords that retrieval kept, and their confidence.
        doubtful: those that are tried all the same.
        repair: False leaves the texts as they are.
    """
    keywords = {**kept, **doubtful}
    if not any(texts) or (not keywords and len(texts) == 1):  # nothing to choose from
        return Candidates(texts[:1], [0.0])
    hear = likelihoods(model, speech, row)
    found = texts
    if repair:
        repaired = [model.repair(text, [*kept], [*kept.values()], hear) for text in texts]
        likely = [word for word, score in keywords.items() if score >= model.rescoring.confidence]
        tried = [_write(text, word, hear) for text in dict.fromkeys(repaired) for word in likely]
        found = [*repaired, *texts, *tried]
    found = list(dict.fromkeys(found))
    both = with_letters(hear, speech, row)
    worths = model.rescoring.worths_without_llm(found, [*keywords], [*keywords.values()], both)
    least = max(worths) - REACH
    near = [place for place, worth in enumerate(worths) if worth >= least]
    return Candidates([found[place] for place in near], [worths[place] for place in near])


def choose(model, speech: Speech, candidates: Sequence[Candidates], language: str) -> list[str]:
    """Choose a transcript for each utterance; the LLM is asked where there are several.

    Args:
        model: a ``SAP2``.
        speech: B utterances.
        candidates: of each.
        language: of the LLM's prompt.
    """
    pairs = [(row, text) for row, each in enumerate(candidates) for text in each.texts if len(each.texts) > 1]
    opinions = {}
    if pairs and model.rescoring.llm:
        rows, texts = zip(*pairs, strict=True)
        opinions = dict(zip(pairs, score_texts(model, speech, rows, texts, language), strict=True))
    chosen = []
    for row, each in enumerate(candidates):
        worths = [
            worth + model.rescoring.llm * opinions.get((row, text), 0.0)
            for text, worth in zip(each.texts, each.worths, strict=True)
        ]
        chosen.append(each.texts[worths.index(max(worths))])
    return chosen


def likelihoods(model, speech: Speech, row: int) -> Callable | None:
    """Tell how texts, lists of words, are scored by the CTC head for an utterance; None without one."""
    if speech.log_probs is None:
        return None
    log_probs = speech.log_probs[row, : int(speech.frame_mask[row].sum())]

    def spelt(words):
        spellings = (model.hearing.spell(word) or encode_keyword(model.tokenizer, word) for word in words)
        return [*itertools.chain.from_iterable(spellings)]

    return lambda texts: log_likelihoods(log_probs, [spelt(words) for words in texts], BLANK)


def with_letters(hear: Callable, speech: Speech, row: int) -> Callable:
    """Take the mean of the scores by the CTC head and by the letter head, if there is one."""
    if speech.letters is None:
        return hear
    heard = speech.letters[row][step_mask(speech.frame_mask)[row]]

    def both(texts):
        letters = log_likelihoods(heard, [spell(" ".join(words)) for words in texts], BLANK)
        return [(a + b) / 2 for a, b in zip(hear(texts), letters, strict=True)]

    return both


def _write(text: str, keyword: str, hear: Callable) -> str:
    """Write a keyword that a text lacks; silence stays, and Chinese, whose words have no spaces."""
    words = text.split()
    if not words or has_keyword(words, keyword) or CHINESE.search(keyword + text):
        return text
    return " ".join(best_draft(words, keyword, hear)[1])
