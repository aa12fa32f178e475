"""Bare 16-bit samples: bytes without a header, from a microphone, a websocket or a ``.raw`` file."""

import numpy as np

LEAST = 200  # samples that statistics need
# Compressed or encrypted bytes, as samples, are noise of all values alike: rms 0.58, neighbours unrelated.
# Speech is quieter, and where it is not, it is clipped: many samples are at the limit.
NOISE_RMS, NOISE_CORRELATION, CLIPPED = 0.5, 0.2, 0.1


def read_pcm(data: bytes) -> np.ndarray:
    """Take bytes as mono 16-bit little-endian samples, as FunASR does.

    Raises:
        ValueError: for bytes that are surely none: an odd number, noise as of compressed data, 32-bit floats.
    """
    if len(data) % 2:
        raise _refusal(f"{len(data)} bytes, an odd number, are no 16-bit samples either")
    samples = np.frombuffer(data, "<i2").astype(np.float32) / 32768
    if len(samples) >= LEAST:
        if _is_noise(samples):
            raise _refusal("as 16-bit samples it is loud noise, as compressed data are")
        if _are_floats(data):
            raise _refusal('it looks like 32-bit floats; give an array, np.frombuffer(data, "float32")')
    return samples


def _refusal(reason: str) -> ValueError:
    return ValueError(f"not readable as audio (Format not recognised); {reason}")


def _is_noise(samples: np.ndarray) -> bool:
    if np.mean(np.abs(samples) > 0.98) > CLIPPED:
        return False
    samples = samples - samples.mean()
    power = float(np.mean(np.square(samples)))
    correlation = float(np.mean(samples[1:] * samples[:-1])) / max(power, 1e-9)
    return power > NOISE_RMS**2 and abs(correlation) < NOISE_CORRELATION


def _are_floats(data: bytes) -> bool:
    """Tell floats in [-1, 1]: 16-bit samples, read as such, are NaN, huge or next to nothing in between."""
    values = np.abs(np.frombuffer(data[: len(data) // 4 * 4], "<f4"))
    values = values[values != 0]
    with np.errstate(invalid="ignore"):
        return bool(len(values)) and bool((values <= 2).all()) and bool(np.median(values) > 1e-5)
