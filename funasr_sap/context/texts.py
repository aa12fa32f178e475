"""Texts: many keywords, side by side in one array that can be mapped into memory.

Symbols: N texts, S bytes of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ENCODING = ("utf-8", "surrogatepass")  # half a pair of surrogates is odd, and no reason to fail


class Texts(Sequence):
    """N strings, read one at a time.

    Args:
        data: (S,) uint8, the texts in UTF-8, one after another.
        starts: (N + 1,) text n is from ``starts[n]`` to before ``starts[n + 1]``.
    """

    def __init__(self, data: np.ndarray, starts: np.ndarray):
        self.data, self.starts = data, starts

    @classmethod
    def join(cls, texts: Sequence[str]) -> Texts:
        """Put texts into one array."""
        encoded = [text.encode(*ENCODING) for text in texts]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        starts = np.concatenate([[0], lengths.cumsum()])
        return cls(np.frombuffer(bytearray().join(encoded), np.uint8), starts)

    def __len__(self):
        return len(self.starts) - 1

    def __getitem__(self, place: int) -> str:
        if not 0 <= place < len(self):
            raise IndexError(f"text {place} of {len(self)}")
        return self.data[self.starts[place] : self.starts[place + 1]].tobytes().decode(*ENCODING)
