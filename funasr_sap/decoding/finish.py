"""From a settled transcript to a result: the user's spelling, words and keywords with their times."""

from collections.abc import Mapping, Sequence

from funasr_sap.decoding.result import FoundKeyword, Result, Word
from funasr_sap.decoding.utterance import Utterance
from funasr_sap.text.words import Span, find, replace, words


def finish(utterance: Utterance, text: str) -> Result:
    """Write keywords as the user does, and give words and keywords their times.

    Args:
        utterance: with the keywords that are kept.
        text: its transcript.
    """
    kept = {each.text: each for each in utterance.keywords}
    spelt = restore_spelling(text, {word: each.given for word, each in kept.items()})
    places = {each.given: find(each.given, spelt) for each in kept.values()}
    spans = words(spelt)
    timed = _timed_words(utterance, text, spelt, spans, places)
    keywords = [
        FoundKeyword(each.given, each.score, len(found), _times(found, spans, timed))
        for each, found in zip(kept.values(), places.values(), strict=True)
    ]
    return Result(
        text=spelt,
        words=tuple(timed),
        keywords=tuple(keywords),
        guards=tuple(utterance.refused),
        cut=utterance.cut,
    )


def restore_spelling(text: str, given: Mapping[str, str]) -> str:
    """Write keywords in a transcript as the user wrote them, capitals included; the longest one wins.

    Args:
        text: a transcript.
        given: of each keyword, as it was looked for, how the user writes it.
    """
    spelling: dict[Span, str] = {}
    for keyword in sorted(given, key=len, reverse=True):
        for span in find(keyword, text):
            if not any(_overlap(span, other) for other in spelling):
                spelling[span] = given[keyword]
    for span in sorted(spelling, reverse=True):  # from the end: the places before it stay where they are
        text = replace(text, span, spelling[span])
    return text


def _timed_words(
    utterance: Utterance, text: str, spelt: str, spans: Sequence[Span], places: Mapping[str, Sequence[Span]]
) -> list[Word]:
    """Find the words of a text in the speech; none without a CTC head, or where they do not fit."""
    if not utterance.has_ctc:
        return []
    if len(words(text)) != len(spans):  # else the head is given the spelling that the model knows
        text = spelt
    aligned = utterance.ctc_head.align(utterance.log_probs, text, utterance.frame_ms)
    if not aligned:
        return []
    return [
        Word(
            spelt[span.start : span.end],
            word.start / 1000,
            word.end / 1000,
            word.confidence,
            next(
                (name for name, found in places.items() if any(_overlap(span, each) for each in found)), None
            ),
        )
        for span, word in zip(spans, aligned, strict=True)
    ]


def _owner(span: Span, places: Mapping[str, Sequence[Span]]) -> str | None:
    """Name the keyword that a word belongs to."""
    owners = (name for name, found in places.items() if any(_overlap(span, each) for each in found))
    return next(owners, None)


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _times(
    places: Sequence[Span], spans: Sequence[Span], timed: Sequence[Word]
) -> tuple[tuple[float, float], ...]:
    """Find when a keyword is spoken: from the first to the last word of each place; nothing without times."""
    times = []
    for place in places if timed else ():
        inside = [word for span, word in zip(spans, timed, strict=True) if _overlap(span, place)]
        times.append((inside[0].start, inside[-1].end))
    return tuple(times)
