"""What was recognised in one utterance."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from funasr_sap.text.words import join_texts


@dataclasses.dataclass(frozen=True)
class Word:
    """A word of a transcript.

    Attributes:
        text: as it is written, the punctuation beside it included.
        start: seconds from the beginning of the audio.
        end: seconds.
        confidence: in [0, 1]; None where it is not known.
        keyword: the keyword that it belongs to; None for none.
    """

    text: str
    start: float
    end: float
    confidence: float | None = None
    keyword: str | None = None


@dataclasses.dataclass(frozen=True)
class FoundKeyword:
    """A keyword that is kept, whether the transcript holds it or not.

    Attributes:
        text: as the user writes it.
        confidence: the probability that it is spoken, in [0, 1].
        count: how often the transcript holds it.
        times: (start, end) in seconds of each time, where the words have times.
    """

    text: str
    confidence: float
    count: int = 0
    times: tuple[tuple[float, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Result:
    """What was recognised in one utterance.

    Attributes:
        key: the utterance id.
        text: the transcript.
        words: its words with their times; none where the times are not known.
        keywords: the kept keywords, and doubtful ones that are written, in the order of the biasing list.
        guards: the guards that refused an earlier transcript.
        cut: the transcript was cut off, for the language model had no more room.
        error: why the utterance could not be recognised, in a sentence; None where it was.
        seconds: of audio; None where it is not known.
    """

    key: str = ""
    text: str = ""
    words: tuple[Word, ...] = ()
    keywords: tuple[FoundKeyword, ...] = ()
    guards: tuple[str, ...] = ()
    cut: bool = False
    error: str | None = None
    seconds: float | None = None

    def clip(self, seconds: float) -> "Result":
        """Keep all times inside the audio: its last frame may reach a little beyond it."""

        return self._map_times(lambda time: min(time, seconds))

    def _map_times(self, change: Callable[[float], float]) -> "Result":
        words = [
            dataclasses.replace(word, start=change(word.start), end=change(word.end)) for word in self.words
        ]
        keywords = [
            dataclasses.replace(each, times=tuple((change(start), change(end)) for start, end in each.times))
            for each in self.keywords
        ]
        return dataclasses.replace(self, words=tuple(words), keywords=tuple(keywords))

    @classmethod
    def merge(cls, key: str, parts: Sequence["Result"], offsets: Sequence[float]) -> "Result":
        """Put the stretches of a talk together, in their order.

        A keyword that is found in several stands once, with its best confidence. A stretch that could not be
        recognised, such as one too short, is left out, unless all are such.

        Args:
            key: of the talk.
            parts: of each stretch.
            offsets: where each begins, in seconds.
        """
        if parts and all(part.error for part in parts):
            return cls(key, error=parts[0].error)
        heard = [(part, offset) for part, offset in zip(parts, offsets, strict=True) if not part.error]
        moved = [part.move(offset) for part, offset in heard]
        found: dict[str, FoundKeyword] = {}
        for each in (keyword for part in moved for keyword in part.keywords):
            before = found.get(each.text, FoundKeyword(each.text, 0.0))
            found[each.text] = FoundKeyword(
                each.text,
                max(before.confidence, each.confidence),
                before.count + each.count,
                before.times + each.times,
            )
        return cls(
            key,
            join_texts(part.text for part in moved),
            tuple(word for part in moved for word in part.words),
            tuple(found.values()),
            tuple(dict.fromkeys(guard for part in moved for guard in part.guards)),
            any(part.cut for part in moved),
        )

    def move(self, offset: float) -> "Result":
        """Move all times by so many seconds."""
        return self._map_times(lambda time: round(time + offset, 3))

    def to_funasr(self) -> dict[str, Any]:
        """Give what FunASR's users know, and the words and keywords in full.

        Returns:
            ``key``, ``text``, ``keywords`` (texts), ``keyword_scores``, ``timestamp`` ([start, end] in ms of
            each word), ``words`` and ``keyword_details`` (the fields above); ``guards``, ``cut`` and
            ``error`` where there are such.
        """
        optional = {"guards": list(self.guards), "cut": self.cut, "error": self.error}
        return {
            "key": self.key,
            "text": self.text,
            "keywords": [each.text for each in self.keywords],
            "keyword_scores": [each.confidence for each in self.keywords],
            "timestamp": [[round(1000 * word.start), round(1000 * word.end)] for word in self.words],
            "words": [dataclasses.asdict(word) for word in self.words],
            "keyword_details": [
                {**dataclasses.asdict(each), "times": [list(pair) for pair in each.times]}
                for each in self.keywords
            ],
        } | {name: value for name, value in optional.items() if value}
