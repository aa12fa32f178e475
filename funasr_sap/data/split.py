"""Splitting a data set into training, validation and test sets."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from funasr_sap.errors import ConfigError, DataError

NAMES = ("train", "valid", "test")


def parse_ratio(ratio: str) -> list[Fraction]:
    """Read ``8:1:1`` (train, valid, test) or ``9:1`` (train, valid) into shares of one.

    Raises:
        ConfigError: anything else.
    """
    parts = ratio.split(":")
    if len(parts) not in (2, 3) or not all(re.fullmatch(r"\d+(\.\d+)?", part) for part in parts):
        raise ConfigError(f"got the split {ratio!r}, expected train:valid:test, for example 8:1:1")
    numbers = [Fraction(part) for part in parts]
    if not all(numbers):
        raise ConfigError(f"the split {ratio!r} has an empty part; leave the part out, or give it a share")
    return [number / sum(numbers) for number in numbers]


def split(groups: Sequence[str], shares: Sequence[Fraction], seed: int) -> list[int]:
    """Assign each utterance to a part; utterances of one group (a recording) go to the same part.

    Each part gets one group at least, and exceeds its share by less than the largest group.

    Args:
        groups: the group of each utterance; unlike ones split by utterance.
        shares: of the parts, their sum is 1.
        seed: of the drawing.

    Returns:
        The part (0, 1, ...) of each utterance.

    Raises:
        DataError: fewer groups than parts.
    """
    sizes = Counter(groups)
    if len(sizes) < len(shares):
        raise DataError(
            f"{len(sizes)} recordings (or utterances, if split by these) cannot make {len(shares)} parts"
        )
    needs = [share * len(groups) for share in shares]
    # The smallest part first, once each: else few recordings would all go to the training set.
    first = sorted(range(len(shares)), key=shares.__getitem__)
    parts: dict[str, int] = {}
    for number, group in enumerate(random.Random(seed).sample(sorted(sizes), len(sizes))):
        part = first[number] if number < len(first) else max(range(len(needs)), key=needs.__getitem__)
        needs[part] -= sizes[group]
        parts[group] = part
    return [parts[group] for group in groups]
