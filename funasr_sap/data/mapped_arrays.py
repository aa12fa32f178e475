"""Arrays in a folder, mapped into memory: processes that read them share the pages, and none is copied."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

SUMS = "sums.json"  # what each array must be


def save_arrays(folder: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays into a folder that is there, each as ``NAME.npy``."""
    for name, array in arrays.items():
        np.save(Path(folder, f"{name}.npy"), array, allow_pickle=False)
    sums = {name: _sum(array) for name, array in arrays.items()}
    Path(folder, SUMS).write_text(json.dumps(sums), encoding="utf-8")


def map_arrays(folder: str | os.PathLike) -> dict[str, np.ndarray]:
    """Map what ``save_arrays`` wrote; what is written to an array stays in this process.

    Raises:
        OSError: for a file that is missing.
        ValueError: for one that is damaged, in its content as well: a search would leave its arrays.
    """
    sums = json.loads(Path(folder, SUMS).read_text(encoding="utf-8"))
    arrays = {}
    for name, expected in sums.items():
        # Not "r": compiled functions would be compiled again, for arrays that cannot be written.
        mapped = np.load(Path(folder, f"{name}.npy"), mmap_mode="c", allow_pickle=False)
        arrays[name] = mapped.view(np.ndarray)
        if _sum(arrays[name]) != expected:
            raise ValueError(f"{name}.npy is damaged")
    return arrays


def _sum(array: np.ndarray) -> str:
    # An array is a buffer, which numpy's stubs say from Python 3.12 on.
    crc = zlib.crc32(np.ascontiguousarray(array))  # pyright: ignore[reportArgumentType]
    return f"{array.dtype.str} {array.shape} {crc:08x}"
