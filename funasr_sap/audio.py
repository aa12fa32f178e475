"""Audio from whatever users hand over, or one clear sentence why it cannot be used."""

import io
import os

import numpy as np
import torch
import torchaudio

from funasr_sap.errors import DataError

MIN_SECONDS = 0.025  # one analysis window


def load_audio(source, sample_rate: int = 16000, source_rate: int | None = None) -> torch.Tensor:
    """Load mono audio.

    Args:
        source: a path, the bytes of an audio file, a file-like object, or samples: a 1-D array or tensor,
            or a 2-D one (channels first or last; the shorter side holds the channels).
        sample_rate: Hz wanted.
        source_rate: Hz of bare samples; ``sample_rate`` where it is not given.

    Returns:
        (samples,) fp32, about [-1, 1].

    Raises:
        DataError: for audio that is missing, unreadable, empty, too short or not finite, or of another type.
    """
    if isinstance(source, str | os.PathLike | bytes | bytearray) or hasattr(source, "read"):
        samples, source_rate = _read(source)
        name = f"audio {os.fspath(source)}" if isinstance(source, str | os.PathLike) else "audio"
    elif isinstance(source, np.ndarray | torch.Tensor | list):
        samples, name = _samples(source), "audio"
    else:
        raise DataError(f"audio: expected a path, bytes, array or tensor, got {type(source).__name__}")
    waveform = _mono(samples)
    if not torch.isfinite(waveform).all():
        raise DataError(f"{name}: holds NaN or infinite samples; expected finite ones in [-1, 1]")
    if source_rate is not None and source_rate != sample_rate and waveform.numel():
        waveform = torchaudio.functional.resample(waveform, int(source_rate), sample_rate)
    if waveform.numel() < MIN_SECONDS * sample_rate:
        raise DataError(
            f"{name}: {waveform.numel()} samples at {sample_rate} Hz; "
            f"expected at least {MIN_SECONDS * 1000:.0f} ms"
        )
    return waveform


def _read(source) -> tuple[np.ndarray, int]:
    """Decode a file through libsndfile: (samples, channels) fp32 and its rate."""
    import soundfile

    if isinstance(source, str | os.PathLike):
        name = f"audio {os.fspath(source)}"
        if not os.path.exists(source):
            raise DataError(f"{name}: no such file")
        if os.path.getsize(source) == 0:
            raise DataError(f"{name}: the file is empty (0 bytes)")
    else:
        name = "audio"
        source = io.BytesIO(source) if isinstance(source, bytes | bytearray) else source
    try:
        return soundfile.read(source, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        raise DataError(f"{name}: not readable as audio ({error}); expected WAV, FLAC, OGG or MP3") from None


def _samples(source) -> np.ndarray:
    """Turn arrays and tensors into floating point; integers are scaled by their type's range."""
    samples = source.detach().cpu().numpy() if isinstance(source, torch.Tensor) else np.asarray(source)
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fi":
        raise DataError(
            f"audio: expected a 1-D or 2-D array of numbers, got {samples.dtype} of shape {samples.shape}"
        )
    if samples.dtype.kind == "i" and samples.dtype.itemsize <= 4:
        samples = samples / np.float32(np.iinfo(samples.dtype).max)
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        samples = samples.T
    return samples.astype(np.float32)


def _mono(samples: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(samples if samples.ndim == 1 else samples.mean(1)))
