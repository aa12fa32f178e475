"""Audio files: by libsndfile, by ffmpeg's libraries where that fails, and bare samples on request."""

import contextlib
import io
import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from funasr_sap.audio.containers import decode_container
from funasr_sap.audio.pcm import read_pcm
from funasr_sap.audio.places import open_place
from funasr_sap.audio.signatures import HEAD, is_audio, name_other
from funasr_sap.audio.wav import mend_length

EXPECTED = "expected WAV, FLAC, OGG or MP3, or a container such as M4A or WebM"
NOT_RECOGNISED = f"not readable as audio (Format not recognised); {EXPECTED}"
OPEN_ENDED = 0x7FFF0000  # bytes; programs that write WAV into a pipe promise at least this many
LONG = 2**28  # samples; what a header says beyond it may be wrong, and no reason to fill the memory
NO_LENGTH = 2**48  # libsndfile gives 2**63 - 1 samples where a stream does not say how long it is
# Formats without a header, which libsndfile knows by the name of the file.
NAMED_FORMATS = (".gsm", ".vox")

logger = logging.getLogger(__name__)


def decode_file(stream: BinaryIO, name: str, bare_rate: int | None = None) -> tuple[np.ndarray, int]:
    """Decode what a file object holds.

    What begins like another kind of file, or like text, is refused. Bytes that begin like no known kind are
    taken for 16-bit samples where a rate is given for such, see `funasr_sap.audio.pcm`.

    Args:
        stream: can seek, and stands at its beginning.
        name: of the audio, in warnings.
        bare_rate: Hz of bare samples; None where the bytes may not be such.

    Returns:
        samples, (n, channels) fp32, and their rate in Hz.

    Raises:
        ValueError: with the reason why there are none.
    """
    head = check_head(stream)
    known = is_audio(head)
    if not known and bare_rate is not None:
        return read_pcm(stream.read())[:, None], bare_rate
    try:
        with open_soundfile(stream) as audio:
            samples, rate = read_frames(audio), audio.samplerate
    except soundfile.SoundFileError as error:
        return _decode_other(stream, name, known, error)
    if not len(samples):
        return _decode_without_length(stream, name, rate)
    _warn_if_cut(head, stream, name)
    return samples, rate


def check_head(stream: BinaryIO) -> bytes:
    """Return the first bytes of a file.

    Raises:
        ValueError: an empty file, or one that is known not to be audio.
    """
    head = stream.read(HEAD)
    stream.seek(0)
    if not head:
        raise ValueError("the file is empty (0 bytes)")
    other = None if is_audio(head) else name_other(head)
    if other:
        raise ValueError(f"{NOT_RECOGNISED}; it is {other}")
    return head


@contextlib.contextmanager
def open_soundfile(stream: BinaryIO) -> Iterator[soundfile.SoundFile]:
    """Open a file through libsndfile.

    Raises:
        soundfile.SoundFileError: with the reason why it cannot be read.
    """
    # By its descriptor: by its name, a suffix would decide over the content, with TypeErrors for ".raw".
    source: str | int | BinaryIO = stream
    if not isinstance(stream, io.BytesIO):
        source = stream.name if Path(stream.name).suffix.lower() in NAMED_FORMATS else stream.fileno()
        os.lseek(stream.fileno(), 0, os.SEEK_SET)
    try:
        with soundfile.SoundFile(source, closefd=False) as audio:
            yield audio
    finally:
        stream.seek(0)


def read_frames(audio: soundfile.SoundFile) -> np.ndarray:
    """Read all samples, (n, channels) fp32, also where the header promises more than memory can hold."""
    if audio.frames < LONG:
        return audio.read(dtype="float32", always_2d=True)
    blocks = iter(lambda: audio.read(LONG // 256, dtype="float32", always_2d=True), None)
    return np.concatenate(list(itertools.takewhile(len, blocks)) or [np.zeros((0, 1), np.float32)])


@contextlib.contextmanager
def open_recording(path: str | os.PathLike) -> Iterator[soundfile.SoundFile]:
    """Open a file to read parts of it; what libsndfile cannot open is decoded first, as 16 bits in memory.

    Raises:
        ValueError: with the reason why it cannot be read.
        OSError: for a file that may not be read.
    """
    with open_place(path) as stream, contextlib.ExitStack() as stack:
        check_head(stream)
        try:
            audio = stack.enter_context(open_soundfile(stream))
        except soundfile.SoundFileError:
            audio = None
        if audio is None or not 0 < audio.frames < NO_LENGTH:
            stream.seek(0)
            samples, rate = decode_file(stream, f"audio {path}")
            copy = io.BytesIO()
            soundfile.write(copy, samples, rate, "PCM_16", format="W64")
            copy.seek(0)
            audio = stack.enter_context(soundfile.SoundFile(copy))
        yield audio


def _decode_other(stream, name: str, known: bool, error) -> tuple[np.ndarray, int]:
    """Decode what libsndfile refuses."""
    reason = getattr(error, "error_string", str(error)).strip().rstrip(".")
    if not known:
        hint = "; bare 16-bit samples need fs=" if reason == "Format not recognised" else ""
        raise ValueError(f"not readable as audio ({reason}); {EXPECTED}{hint}")
    try:
        return decode_container(stream, name)
    except ValueError:
        if reason == "Format not recognised":
            raise
        raise ValueError(f"not readable as audio ({reason}); {EXPECTED}") from None


def _decode_without_length(stream, name: str, rate: int) -> tuple[np.ndarray, int]:
    """Decode a file whose header says 0 samples: what recorders leave that stream or lose power."""
    data = stream.read()
    mended = mend_length(data)
    try:
        if mended:
            samples, rate = soundfile.read(io.BytesIO(mended), dtype="float32", always_2d=True)
        elif data.startswith(
            (b"RIFF", b"RF64", b"RIFX")
        ):  # nothing follows, or other chunks, which are no samples
            raise ValueError
        else:
            samples, rate = decode_container(io.BytesIO(data), name)
    except ValueError:
        return np.zeros((0, 1), np.float32), rate
    logger.warning("%s: its header says 0 samples; what follows it is read to the end", name)
    return samples, rate


def _warn_if_cut(head: bytes, stream, name: str) -> None:
    """Say so when a WAV file is shorter than its header promises; what there is of it is recognised."""
    promised = int.from_bytes(head[4:8], "little") + 8
    size = stream.seek(0, os.SEEK_END)
    if head.startswith(b"RIFF") and size + 8 < promised < OPEN_ENDED:
        logger.warning("%s: cut off at %d of %d bytes; what there is of it is used", name, size, promised)
