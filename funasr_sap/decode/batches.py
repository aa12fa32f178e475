"""Batches of utterances of like length, so that little of a batch is padding."""

import os
from collections.abc import Sequence

from funasr_sap.data.audio_header import read_header
from funasr_sap.data.processes import ordered_map
from funasr_sap.errors import ConfigError


def read_durations(sources: Sequence[object]) -> list[float | None]:
    """Read how long utterances are, in seconds, from their headers; None where no file says so."""
    return list(ordered_map(_duration, sources, None, "lengths"))


def make_batches(durations: Sequence[float | None], batch_size: int, batch_seconds: float) -> list[list[int]]:
    """Put utterances of like length together.

    Args:
        durations: seconds of each utterance; one of unknown length gets a batch of its own.
        batch_size: utterances of a batch at most.
        batch_seconds: seconds of a batch at most, padding included; a longer utterance stands alone.

    Returns:
        Positions in ``durations``, the longest batches first: what runs out of memory does so at once, and
        the last ones keep no process waiting for long.

    Raises:
        ConfigError: less than one utterance, or no time.
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size: expected 1 utterance or more, got {batch_size}")
    if not batch_seconds > 0:
        raise ConfigError(f"batch_seconds: expected more than 0 seconds, got {batch_seconds}")
    lengths = [batch_seconds if seconds is None else seconds for seconds in durations]
    batches: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        batch = batches[-1] if batches else []
        # The first is the longest: the others are padded to it.
        if not batch or len(batch) == batch_size or (len(batch) + 1) * lengths[batch[0]] > batch_seconds:
            batches.append([])
        batches[-1].append(place)
    return batches


def _duration(source: object) -> float | None:
    if not isinstance(source, str | os.PathLike):
        return None
    try:
        header = read_header(source)
        return header.samples / header.rate
    except Exception:  # one odd file must not stop the others; decoding it says what is wrong
        return None
