"""Slides of recorded talks: which was shown with an utterance, and the words of its neighbours.

The OCR of slides is one JSON line a slide, as ``python -m funasr_sap.data.mini_corpus --talks`` writes it:
``{"talk": "RECORDING", "start": 12.3, "end": 45.6, "ocr": ["word", ...]}``, seconds; other keys are ignored.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from funasr_sap.data.kaldi import Segment, iter_lines, parse_json, parse_words
from funasr_sap.errors import DataError


@dataclass(frozen=True)
class Slide:
    """What was shown from ``start`` to ``end``, in seconds, and the words on it."""

    start: float
    end: float
    words: tuple[str, ...]


def read_slides(path: str | os.PathLike) -> dict[str, list[Slide]]:
    """Read the OCR of slides; returns the slides of each recording in the order of time.

    Raises:
        DataError: names every bad line.
    """
    slides, problems = defaultdict(list), []
    for number, line in iter_lines(path, problems):
        try:
            recording, slide = _parse_slide(parse_json(line))
            slides[recording].append(slide)
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
    if problems:
        raise DataError.from_lines(f"cannot use {path}", problems)
    return {recording: sorted(each, key=lambda slide: slide.start) for recording, each in slides.items()}


def slides_of_keywords(
    segments: Mapping[str, Segment], keywords: Mapping[str, Sequence[str]]
) -> dict[str, list[Slide]]:
    """Find slides without OCR: utterances in a row whose keywords are the same were spoken to one slide.

    Args:
        segments: where each utterance lies.
        keywords: what was extracted from the slide that was shown with it.

    Returns:
        The slides of each recording in the order of time.
    """
    slides: dict[str, list[Slide]] = defaultdict(list)
    for utt_id, segment in sorted(segments.items(), key=lambda item: item[1].start):
        shown, words = slides[segment.recording], tuple(keywords[utt_id])
        if shown and shown[-1].words == words:
            shown[-1] = Slide(shown[-1].start, _end(segment), words)
        else:
            shown.append(Slide(segment.start, _end(segment), words))
    return dict(slides)


def merge_neighbours(
    segments: Mapping[str, Segment],
    keywords: Mapping[str, Sequence[str]],
    slides: Mapping[str, Sequence[Slide]],
    num: int,
    clean: Callable[[str], str] = str,
) -> dict[str, list[str]]:
    """Add the words of the slides around an utterance to its keywords.

    Args:
        segments: where each utterance lies.
        keywords: its own, which come first.
        slides: of each recording, in the order of time; one without any adds nothing.
        num: how many slides a list covers, an odd number: 1 = the one shown, 5 = two more on either side.
        clean: applied to the words of slides; what it leaves empty is dropped.

    Returns:
        The biasing list of each utterance, nearer slides first, no word twice.
    """
    reach = num // 2
    lists = {}
    for utt_id, segment in segments.items():
        words = dict.fromkeys(keywords[utt_id])
        shown = slides.get(segment.recording, ())
        if shown:
            around = _around(_shown_with(segment, shown), reach, len(shown))
            words |= dict.fromkeys(filter(None, (clean(word) for i in around for word in shown[i].words)))
        lists[utt_id] = list(words)
    return lists


def _around(index: int, reach: int, count: int) -> list[int]:
    """List the places up to ``reach`` from a place, nearest first, the earlier of two as near."""
    places = range(max(0, index - reach), min(count, index + reach + 1))
    return sorted(places, key=lambda place: abs(place - index))


def _shown_with(segment: Segment, slides: Sequence[Slide]) -> int:
    """Find the slide that an utterance overlaps most or, between two slides, the nearer one."""
    end = _end(segment)
    overlaps = [min(end, slide.end) - max(segment.start, slide.start) for slide in slides]
    return max(range(len(slides)), key=overlaps.__getitem__)


def _end(segment: Segment) -> float:
    return float("inf") if segment.end is None else segment.end


def _parse_slide(record: object) -> tuple[str, Slide]:
    if not isinstance(record, dict) or not {"talk", "start", "end", "ocr"} <= record.keys():
        raise ValueError('expected an object with "talk", "start", "end" and "ocr"')
    start, end = record["start"], record["end"]
    if not isinstance(record["talk"], str):
        raise ValueError(f'"talk" is {record["talk"]!r}, expected the id of a recording')
    if not all(isinstance(time, int | float) for time in (start, end)) or end < start:
        raise ValueError(f'"start" and "end" are {start!r} and {end!r}, expected seconds, the end not before')
    return record["talk"], Slide(start, end, tuple(parse_words(record["ocr"])))
