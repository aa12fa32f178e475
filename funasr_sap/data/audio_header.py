"""How long an audio file is, from its header alone where that says so."""

import os
from typing import BinaryIO, NamedTuple

import soundfile

from funasr_sap.audio.containers import measure_container
from funasr_sap.audio.files import NO_LENGTH, decode_file, open_soundfile
from funasr_sap.audio.places import explain_missing, local_path
from funasr_sap.audio.signatures import HEAD, is_audio, name_other
from funasr_sap.audio.wav import FLOAT, PCM, parse_wav
from funasr_sap.errors import DataError

_WAV_HEAD = 128  # bytes; the plain header has 44


class AudioHeader(NamedTuple):
    """Length in samples of one channel, and their rate in Hz."""

    samples: int
    rate: int


def read_header(path: str | os.PathLike) -> AudioHeader:
    """Read the header of an audio file, of any format that ``load_audio`` reads.

    Containers have none that tells, and files that were streamed neither: of these, all is read.

    Raises:
        DataError: an unreadable or empty file, with the reason.
    """
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"expected the path of an audio file, got {type(path).__name__}")
    try:
        path = local_path(path)
        if not os.path.isfile(path):
            raise ValueError(explain_missing(path))
        # libsndfile takes twice the time for the plain WAV files that corpora consist of.
        header = _read_plain_wav(path) or _read_other(path)
    except OSError as error:
        raise DataError(error.strerror or str(error)) from error
    except ValueError as error:
        raise DataError(str(error)) from error
    if header.samples == 0:
        raise DataError("no samples")
    return header


def _read_other(path: str) -> AudioHeader:
    with open(path, "rb", buffering=0) as stream:
        try:
            # soundfile.info would take longer, for descriptions that nobody reads.
            with open_soundfile(stream) as audio:
                header = AudioHeader(audio.frames, audio.samplerate)
        except soundfile.SoundFileError as error:
            return _read_container(stream, getattr(error, "error_string", str(error)).strip().rstrip("."))
        if 0 < header.samples < NO_LENGTH:
            return header
        samples, rate = decode_file(stream, f"audio {path}")
        return AudioHeader(len(samples), rate)


def _read_container(stream: BinaryIO, reason: str) -> AudioHeader:
    """Measure what libsndfile refuses, for the reason given."""
    head = stream.read(HEAD)
    stream.seek(0)
    if not is_audio(head):
        other = name_other(head)
        raise ValueError(f"{reason}; it is {other}" if other else reason)
    try:
        return AudioHeader(*measure_container(stream))
    except ValueError:
        if reason == "Format not recognised":
            raise
        raise ValueError(reason) from None


def _read_plain_wav(path: str) -> AudioHeader | None:
    """Read a complete PCM or float WAV file; None where anything in its header is out of the ordinary."""
    descriptor = os.open(path, os.O_RDONLY)  # a file object takes half as long again
    try:
        head, size = os.read(descriptor, _WAV_HEAD), os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    wav = parse_wav(head)
    if wav is None or wav.tag not in (PCM, FLOAT):
        return None
    plain = wav.rate and wav.block and wav.block == wav.channels * wav.bits // 8
    complete = 0 < wav.length <= size - wav.start
    return AudioHeader(wav.length // wav.block, wav.rate) if plain and complete else None
