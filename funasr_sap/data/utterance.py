"""One utterance of a data set: what all formats of `funasr_sap.data.formats` read to and write from."""

from dataclasses import dataclass

from funasr_sap.errors import DataError


@dataclass(frozen=True)
class Utterance:
    """One utterance of a data set.

    Attributes:
        key: its id, without blanks.
        source: the audio, as the data set names it (a path, a URL); None where it names none.
        text: the reference transcript, None where the line has none.
        hotwords: the biasing list, None = not known.
        keywords: the rare words, that is the true part of the biasing list; None = not known.
        speech_length: in frames of 10 ms, None = not known.
        text_length: in tokens of the LLM (or words, see `funasr_sap.data.scp2jsonl`), None = not known.
    """

    key: str
    source: str | None
    text: str | None
    hotwords: tuple[str, ...] | None = None
    keywords: tuple[str, ...] | None = None
    speech_length: int | None = None
    text_length: int | None = None

    @property
    def audio(self) -> str:
        """The source, of an utterance that must have one; DataError where it has none."""
        if self.source is None:
            raise DataError(f"{self.key}: no audio; expected a path")
        return self.source

    @property
    def transcript(self) -> str:
        """The text, of an utterance that must have one; DataError where it has none."""
        if self.text is None:
            raise DataError(f"{self.key}: no transcript; expected one")
        return self.text
