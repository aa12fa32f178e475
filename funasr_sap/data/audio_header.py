"""How long an audio file is, from its header alone."""

import os
from typing import NamedTuple

import soundfile

# libsndfile gives 2**63 - 1 where a stream does not say how long it is.
_MAX_SAMPLES = 2**48
_WAV_HEAD = 128  # bytes; the plain header has 44
_PCM, _FLOAT = 1, 3  # WAV format tags


class AudioHeader(NamedTuple):
    """Length in samples of one channel, and their rate in Hz."""

    samples: int
    rate: int


def read_header(path: str) -> AudioHeader:
    """Read the header of an audio file, of any format that libsndfile knows.

    Raises:
        ValueError: an unreadable or empty file, with the reason.
    """
    if path.endswith("|"):
        raise ValueError("a command, expected an audio file; run it and store its output")
    if not os.path.isfile(path):
        raise ValueError("no such file")
    try:
        # libsndfile takes twice the time for the plain WAV files that corpora consist of.
        header = _read_plain_wav(path) or _read_with_libsndfile(path)
    except OSError as error:
        raise ValueError(error.strerror) from error
    except soundfile.LibsndfileError as error:
        raise ValueError(error.error_string.strip().rstrip(".")) from error
    if header.samples == 0:
        raise ValueError("no samples")
    if header.samples > _MAX_SAMPLES:
        raise ValueError("its header does not say how long it is")
    return header


def _read_with_libsndfile(path: str) -> AudioHeader:
    # soundfile.info would take longer, for descriptions that nobody reads.
    with soundfile.SoundFile(path) as audio:
        return AudioHeader(audio.frames, audio.samplerate)


def _read_plain_wav(path: str) -> AudioHeader | None:
    """Read a complete PCM or float WAV file; None where anything in its header is out of the ordinary."""
    with open(path, "rb", buffering=0) as stream:
        head = stream.read(_WAV_HEAD)
        size = os.fstat(stream.fileno()).st_size
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    rate = block = 0
    start = 12
    while start + 8 <= len(head):
        name, length = head[start : start + 4], _number(head, start + 4, 4)
        start += 8
        if name == b"data":
            complete = rate and 0 < length <= size - start
            return AudioHeader(length // block, rate) if complete else None
        if name == b"fmt ":
            rate, block = _number(head, start + 4, 4), _number(head, start + 12, 2)
            channels, bits = _number(head, start + 2, 2), _number(head, start + 14, 2)
            plain = _number(head, start, 2) in (_PCM, _FLOAT) and block == channels * bits // 8
            if not plain or not block:
                return None
        start += length + length % 2  # chunks begin at even places
    return None


def _number(head: bytes, start: int, size: int) -> int:
    return int.from_bytes(head[start : start + size], "little")
