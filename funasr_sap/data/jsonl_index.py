"""Where each utterance of a JSONL file stands: for data sets that are too large to hold in memory."""

import logging
import os
import zlib
from array import array

import numpy as np

from funasr_sap.data.jsonl import holds_array, parse_record
from funasr_sap.data.kaldi import decode_line, locate_lines, parse_json
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import DataError

UNKNOWN = -1  # length of an utterance that does not say its own

logger = logging.getLogger(__name__)


class JsonlIndex:
    """The N utterances of a JSONL file, each read from it when it is asked for, by position or by id.

    All lines are read and checked once, as by `read_jsonl`; some 40 bytes of each are kept. The index holds
    no open file, so it can be pickled, and shared by forked processes.

    Args:
        path: the file; it must not change afterwards.
        skip_bad: leave out bad lines, with a warning, instead of failing.

    Attributes:
        path: the file.
        speech_lengths: (N,) int32, in frames of 10 ms, -1 = not known.
        text_lengths: (N,) int32, in tokens, -1 = not known.

    Raises:
        DataError: names every bad line; also for a JSON array, which has no lines.
    """

    def __init__(self, path: str | os.PathLike, skip_bad: bool = False):
        if holds_array(path):
            raise DataError(f"{path} is a JSON array, expected lines; convert it with funasr-sap convert")
        self.path = path
        problems: list[str] = []
        numbers, offsets, sizes, speech, text = (array(code) for code in "qqqii")
        hashes = array("I")
        for line in locate_lines(path, problems):
            try:
                utterance = parse_record(parse_json(line.text))
            except ValueError as error:
                problems.append(f"{path}:{line.number}: {error}")
                continue
            numbers.append(line.number)
            offsets.append(line.offset)
            sizes.append(line.size)
            hashes.append(_hash(utterance.key))
            speech.append(UNKNOWN if utterance.speech_length is None else utterance.speech_length)
            text.append(UNKNOWN if utterance.text_length is None else utterance.text_length)
        self._offsets, self._sizes, self._hashes = map(np.array, (offsets, sizes, hashes))
        self.speech_lengths, self.text_lengths = np.array(speech), np.array(text)
        self._leave_out(self._repeated(np.array(numbers), problems))
        # Sorted hashes are a dictionary of 8 bytes an entry; one of strings takes some 150.
        self._order = np.argsort(self._hashes, kind="stable").astype(np.int32)
        self._hashes = self._hashes[self._order]
        _report(path, problems, skip_bad)

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, position: int) -> Utterance:
        """Read one utterance from the file; IndexError where there are not as many."""
        offset, size = int(self._offsets[position]), int(self._sizes[position])
        with open(self.path, "rb") as stream:
            stream.seek(offset)
            raw = stream.read(size)
        try:
            return parse_record(parse_json(decode_line(raw, first=offset == 0)))
        except ValueError as error:
            raise DataError(f"{self.path} has changed since it was indexed: {error}") from error

    def find(self, utt_id: str) -> int:
        """Return the position of an utterance; DataError where the file has none of this id."""
        wanted = np.uint32(_hash(utt_id))  # of the array's type, or all of it would be converted
        first, last = (np.searchsorted(self._hashes, wanted, side) for side in ("left", "right"))
        for position in self._order[first:last].tolist():
            if self[position].key == utt_id:
                return position
        raise DataError(f"{self.path} has no utterance {utt_id!r}")

    def _repeated(self, numbers: np.ndarray, problems: list[str]) -> list[int]:
        """Return the positions of ids that came before; ids of equal hash are read again, and compared."""
        values, counts = np.unique(self._hashes, return_counts=True)
        shared = np.flatnonzero(np.isin(self._hashes, values[counts > 1])).tolist()
        lines: dict[str, int] = {}
        repeated = []
        for position in shared:
            utt_id, number = self[position].key, int(numbers[position])
            if utt_id in lines:
                problems.append(f"{self.path}:{number}: the id {utt_id!r} is on line {lines[utt_id]} already")
                repeated.append(position)
            else:
                lines[utt_id] = number
        return repeated

    def _leave_out(self, positions: list[int]) -> None:
        for name in ("_offsets", "_sizes", "_hashes", "speech_lengths", "text_lengths"):
            setattr(self, name, np.delete(getattr(self, name), positions))


def _hash(utt_id: str) -> int:
    return zlib.crc32(utt_id.encode())  # unlike hash(), the same in every process


def _report(path: str | os.PathLike, problems: list[str], skip_bad: bool) -> None:
    if not problems:
        return
    error = DataError.from_lines(f"cannot use {path}", problems)
    if not skip_bad:
        raise error
    logger.warning("left out: %s", error)
