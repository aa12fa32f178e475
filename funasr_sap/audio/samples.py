"""Samples in memory: arrays and tensors, with their rate where they bring it along."""

import array
import numbers
from collections.abc import Mapping
from typing import TypeGuard

import numpy as np

CANCELLED = 0.2  # power of the channels' mean to that of channels that have nothing to do with each other
STRETCH = 8000  # samples that cancel or do not: a cable may break in the middle of a talk
LEAST_CANCELLED = 0.1  # of all power; less is chance
ARRAY_KEYS, RATE_KEYS = ("array", "raw"), ("sampling_rate", "sample_rate")


def is_array(source) -> bool:
    """Tell arrays, tensors, and lists that may hold numbers, from other objects."""
    if isinstance(source, memoryview):
        return source.format not in ("B", "b", "c")  # those are bytes
    if isinstance(source, array.array):
        return source.typecode not in "Bb"
    return isinstance(source, np.ndarray | list | tuple) or hasattr(source, "__array__")


def is_bytes(source: object) -> TypeGuard[bytes | bytearray | memoryview | array.array]:
    """Tell what holds bytes."""
    return isinstance(source, bytes | bytearray | memoryview | array.array) and not is_array(source)


def split_pair(source) -> tuple[object, int] | None:
    """Read ``(samples, rate)``, as of soundfile and torchaudio, or ``(rate, samples)``, as of gradio."""
    if not isinstance(source, tuple) or len(source) != 2:
        return None
    for samples, rate in (source, source[::-1]):
        if _is_number(rate) and not np.ndim(rate) and (is_array(samples) or is_bytes(samples)):
            return samples, int(rate) if rate == rate // 1 else rate
    return None


def split_mapping(source: Mapping) -> tuple[object, int | None]:
    """Read what datasets and transformers call audio: ``{"array", "sampling_rate"}``, or "bytes" or "path".

    Raises:
        ValueError: for a mapping that holds none of them.
    """
    rate = next((source[key] for key in RATE_KEYS if source.get(key) is not None), None)
    for key in (*ARRAY_KEYS, "bytes", "path"):
        if source.get(key) is not None:
            return source[key], rate
    keys = "one is read with the keys array and sampling_rate, bytes, or path"
    raise ValueError(f"expected a path, URL, bytes, array or tensor, got {type(source).__name__}; {keys}")


def to_floats(source) -> np.ndarray:
    """Turn arrays and tensors into floating point; integers are scaled by their type's range, as in files.

    Integers of 64 bits, which Python's own become, are taken as samples of 16 bits.

    Returns:
        (n,) or (n, channels) fp32.

    Raises:
        ValueError: for what is no array of numbers of such types and 1 or 2 dimensions.
    """
    if hasattr(source, "detach"):  # a tensor; torch need not be imported for it
        source = source.detach().cpu()
        source = source.float().numpy() if source.is_floating_point() else source.numpy()
    try:
        samples = np.asarray(source)
    except ValueError as error:
        raise ValueError(f"not an array of numbers ({error})") from None
    if samples.ndim not in (1, 2) or (samples.dtype.kind not in "fi" and samples.dtype != np.uint8):
        got = f"got {samples.dtype} of shape {samples.shape}"
        types = "floating point, signed integers or uint8"
        raise ValueError(f"expected a 1-D or 2-D array of numbers, {got}; types are {types}")
    if samples.dtype == np.uint8:
        samples = samples.astype(np.float32) / 128 - 1  # as in WAV files of 8 bits
    elif samples.dtype.kind == "i":
        bits = 16 if samples.dtype.itemsize == 8 else 8 * samples.dtype.itemsize
        samples = samples / np.float32(2 ** (bits - 1))
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        samples = samples.T
    return samples.astype(np.float32)


def to_mono(samples: np.ndarray) -> tuple[np.ndarray, bool]:
    """Average channels, (n, channels); where they cancel each other out, take the loudest alone.

    Returns:
        samples, (n,), and whether channels were cancelling.
    """
    mean = samples.mean(1) if samples.size else samples.ravel()
    count = samples.shape[1]
    if count < 2 or not samples.size:
        return mean, False
    powers = np.stack([_powers(samples[:, channel]) for channel in range(count)])
    loudest = int(np.argmax(powers.sum(1)))
    cancelled = _powers(mean) < CANCELLED * powers.sum(0) / count**2
    if powers.sum(0)[cancelled].sum() < LEAST_CANCELLED * powers.sum():
        return mean, False
    return samples[:, loudest], True


def _powers(samples: np.ndarray) -> np.ndarray:
    """Power of each stretch, without the offset, which does not cancel: (stretches,)."""
    pieces = np.array_split(samples - samples.mean(), max(1, len(samples) // STRETCH))
    return np.array([float(np.dot(piece, piece)) for piece in pieces])


def _is_number(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
