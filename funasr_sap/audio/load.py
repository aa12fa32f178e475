"""Audio from whatever users hand over, or one clear sentence why it cannot be used."""

import contextlib
import io
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import soxr

from funasr_sap.audio.files import decode_file
from funasr_sap.audio.places import open_place
from funasr_sap.audio.samples import is_array, is_bytes, split_mapping, split_pair, to_floats, to_mono
from funasr_sap.audio.signatures import HEAD, is_audio, name_other
from funasr_sap.errors import DataError

if TYPE_CHECKING:
    import torch

MIN_SECONDS = 0.025  # one analysis window
SAMPLE_RATES = range(1000, 768001)  # Hz
MAX_NAME = 200  # characters of a path in a message

logger = logging.getLogger(__name__)


def load_audio(source, sample_rate: int = 16000, source_rate: int | None = None) -> "torch.Tensor":
    """Load mono audio.

    Bytes of a file are decoded or refused, whatever holds them: libsndfile reads WAV, FLAC, OGG, MP3 and
    more, ffmpeg's libraries read M4A, MP4, WebM, MKV, AAC, WMA and more. Bytes that begin like no known kind
    of file are bare 16-bit samples, as FunASR takes them from microphones and websockets, unless they read as
    text, or as the loud noise that compressed data are. For a file, a URL or a pipe that holds only where
    ``source_rate`` is given.

    Args:
        source: a path, a URL (http, https, file), "-" for standard input, the bytes of an audio file, a
            file-like object, or samples: a 1-D array or tensor, or a 2-D one (channels first or last; the
            shorter side holds the channels). Also ``(samples, rate)``, ``(rate, samples)``, and the
            ``{"array", "sampling_rate"}``, ``{"bytes"}`` and ``{"path"}`` of Hugging Face's datasets.
        sample_rate: Hz wanted.
        source_rate: Hz of bare samples that bring no rate along; ``sample_rate`` where it is not given.

    Returns:
        (samples,) fp32, about [-1, 1].

    Raises:
        DataError: for audio that is missing, unreadable, empty, too short or not finite, or of another type.
    """
    import torch  # takes seconds; who measures files only needs none of it

    name = f"audio {_shorten(os.fspath(source))}" if isinstance(source, str | os.PathLike) else "audio"
    try:
        samples, rate = _read(source, name, sample_rate, source_rate)
        if not np.isfinite(samples).all():
            raise ValueError("holds NaN or infinite samples; expected finite ones in [-1, 1]")
        if samples.ndim == 2:
            samples, cancelled = to_mono(samples)
            if cancelled:
                logger.warning("%s: its channels cancel each other out; the loudest alone is used", name)
        if rate not in SAMPLE_RATES:
            raise ValueError(f"sampled at {rate} Hz; expected {SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]} Hz")
        if rate != sample_rate:
            samples = soxr.resample(samples, rate, sample_rate)
        if len(samples) < MIN_SECONDS * sample_rate:
            least = f"expected at least {MIN_SECONDS * 1000:.0f} ms"
            raise ValueError(f"{len(samples)} samples at {sample_rate} Hz; {least}")
    except (ValueError, OSError) as error:
        raise DataError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    return torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))


def _read(source, name: str, sample_rate: int, source_rate: int | None) -> tuple[np.ndarray, int]:
    """Get samples, (n,) or (n, channels) fp32, and their rate in Hz."""
    pair = split_mapping(source) if isinstance(source, Mapping) else split_pair(source)
    if pair:
        source, own_rate = pair
        source_rate = source_rate if own_rate is None else own_rate
    if isinstance(source, str | os.PathLike):
        with open_place(source) as stream:
            return decode_file(stream, name, source_rate)
    rate = sample_rate if source_rate is None else source_rate
    if hasattr(source, "read"):
        source = _read_stream(source)
    if is_array(source):
        data = _file_in(source)
        if data is None:
            return to_floats(source), rate
        source = data
    if not is_bytes(source):
        raise ValueError(f"expected a path, URL, bytes, array or tensor, got {type(source).__name__}")
    return decode_file(io.BytesIO(source), name, rate)


def _read_stream(stream) -> bytes:
    with contextlib.suppress(OSError, AttributeError):  # a pipe has no beginning to go back to
        stream.seek(0)
    try:
        data = stream.read()
    except Exception as error:  # of a library of the user's: an archive, a connection
        raise ValueError(f"cannot be read ({type(error).__name__}: {error})") from None
    if isinstance(data, str):
        raise ValueError('a file opened as text; expected open(path, "rb")')
    return data


def _file_in(source) -> bytes | None:
    """Return the bytes of an array of bytes, as ``np.fromfile`` makes it, where they are a file's."""
    if str(getattr(source, "dtype", "")).removeprefix("torch.") not in ("uint8", "int8") or source.ndim != 1:
        return None
    head = np.asarray(source[:HEAD]).tobytes()
    return np.asarray(source).tobytes() if is_audio(head) or name_other(head) else None


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_NAME else f"{text[:MAX_NAME]}..."
