"""What is asked of a model: one utterance, with its biasing list."""

import dataclasses
import os
from collections.abc import Sequence

from funasr_sap.text.hotwords import ReadList


@dataclasses.dataclass(frozen=True)
class Request:
    """One utterance to recognise.

    Attributes:
        key: the utterance id.
        audio: whatever ``load_audio`` takes.
        hotwords: its biasing list: words, a string of them, or a vocabulary; a string is never read as a
            path.
        sample_rate: Hz of bare samples; None for the model's own.
    """

    key: str
    audio: object
    hotwords: Sequence[str] | str | ReadList | None = ()
    sample_rate: int | None = None

    @property
    def size(self) -> int:
        """About as long as the speech, without decoding it: bytes of a file or an array; 0 = not known."""
        if isinstance(self.audio, str | os.PathLike):
            return os.path.getsize(self.audio) if os.path.isfile(self.audio) else 0
        if isinstance(self.audio, bytes | bytearray | list):
            return len(self.audio)
        return getattr(self.audio, "nbytes", 0)
