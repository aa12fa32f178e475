"""Audio from whatever users hand over, or one clear sentence why it cannot be used."""

import contextlib
import http.client
import io
import logging
import os
import urllib.parse
import urllib.request

import numpy as np
import soxr
import torch

from funasr_sap.errors import DataError

MIN_SECONDS = 0.025  # one analysis window
SAMPLE_RATES = range(1000, 768001)  # Hz
URL_SCHEMES = ("http://", "https://")
URL_TIMEOUT = 30  # seconds without an answer
OPEN_ENDED = 0x7FFF0000  # bytes; programs that write WAV into a pipe promise at least this many


def load_audio(source, sample_rate: int = 16000, source_rate: int | None = None) -> torch.Tensor:
    """Load mono audio.

    Args:
        source: a path, a URL, the bytes of an audio file, a file-like object, or samples: a 1-D array or
            tensor, or a 2-D one (channels first or last; the shorter side holds the channels).
        sample_rate: Hz wanted.
        source_rate: Hz of bare samples; ``sample_rate`` where it is not given.

    Returns:
        (samples,) fp32, about [-1, 1].

    Raises:
        DataError: for audio that is missing, unreadable, empty, too short or not finite, or of another type.
    """
    name = f"audio {os.fspath(source)}" if isinstance(source, str | os.PathLike) else "audio"
    try:
        samples, rate = _read(source, name, sample_rate if source_rate is None else source_rate)
        if samples.ndim == 2:
            samples = samples.mean(1) if samples.size else samples.ravel()
        if not np.isfinite(samples).all():
            raise ValueError("holds NaN or infinite samples; expected finite ones in [-1, 1]")
        if rate not in SAMPLE_RATES:
            raise ValueError(f"sampled at {rate} Hz; expected {SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]} Hz")
        if rate != sample_rate:
            samples = soxr.resample(samples, rate, sample_rate)
        if len(samples) < MIN_SECONDS * sample_rate:
            least = f"expected at least {MIN_SECONDS * 1000:.0f} ms"
            raise ValueError(f"{len(samples)} samples at {sample_rate} Hz; {least}")
    except (ValueError, OSError, http.client.HTTPException) as error:
        raise DataError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    return torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))


def _read(source, name: str, rate: int) -> tuple[np.ndarray, int]:
    """Get samples, (n,) or (n, channels) fp32, and their rate in Hz."""
    if isinstance(source, np.ndarray | torch.Tensor | list):
        return _samples(source), rate
    if isinstance(source, str) and source.startswith(URL_SCHEMES):
        source = _download(source)
    elif isinstance(source, str | os.PathLike):
        return _decode(_existing(source), name, os.path.getsize(source))
    elif hasattr(source, "read"):
        with contextlib.suppress(OSError):  # a pipe has no beginning to go back to
            source.seek(0)
        source = source.read()
    if not isinstance(source, bytes | bytearray):
        raise ValueError(f"expected a path, URL, bytes, array or tensor, got {type(source).__name__}")
    return _decode(io.BytesIO(source), name, len(source))


def _existing(path: str | os.PathLike) -> str | os.PathLike:
    if not os.path.exists(path):
        raise ValueError("no such file")
    if not os.path.isfile(path):
        raise ValueError("is not a file")
    return path


def _download(url: str) -> bytes:
    try:
        quoted = urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]")
        with urllib.request.urlopen(quoted, timeout=URL_TIMEOUT) as answer:
            return answer.read()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ValueError(f"cannot be downloaded ({str(error).strip('<>')})") from None


def _decode(source, name: str, size: int) -> tuple[np.ndarray, int]:
    """Decode a file through libsndfile."""
    import soundfile

    if size == 0:
        raise ValueError("the file is empty (0 bytes)")
    try:
        samples, rate = soundfile.read(source, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        raise ValueError(f"not readable as audio ({reason}); expected WAV, FLAC, OGG or MP3") from None
    _warn_if_cut(source, name, size)
    return samples, rate


def _warn_if_cut(source, name: str, size: int) -> None:
    """Say so when a WAV file is shorter than its header promises; what there is of it is recognised."""
    if isinstance(source, io.BytesIO):
        head = source.getbuffer()[:8].tobytes()
    else:
        with open(source, "rb") as stream:
            head = stream.read(8)
    promised = int.from_bytes(head[4:], "little") + 8
    if head.startswith(b"RIFF") and size + 8 < promised < OPEN_ENDED:
        logging.warning("%s: cut off at %d of %d bytes; what there is of it is used", name, size, promised)


def _samples(source) -> np.ndarray:
    """Turn arrays and tensors into floating point; integers are scaled by their type's range, as in files.

    Integers of 64 bits, which Python's own become, are taken as samples of 16 bits.
    """
    if isinstance(source, torch.Tensor):
        source = source.detach().cpu()
        source = source.float() if source.is_floating_point() else source
    try:
        samples = np.asarray(source)
    except ValueError as error:
        raise ValueError(f"not an array of numbers ({error})") from None
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fi":
        got = f"got {samples.dtype} of shape {samples.shape}"
        raise ValueError(f"expected a 1-D or 2-D array of numbers, {got}")
    if samples.dtype.kind == "i":
        bits = 16 if samples.dtype.itemsize == 8 else 8 * samples.dtype.itemsize
        samples = samples / np.float32(2 ** (bits - 1))
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        samples = samples.T
    return samples.astype(np.float32)
