"""The mean of several checkpoints: of one training, or of a training's end and its start.

A model that was finetuned forgets less when it is averaged with the one it started from, and keeps most of
what it learned (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
"""

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from funasr_sap.data.files import atomic_write
from funasr_sap.errors import ConfigError
from funasr_sap.models.published import read_checkpoint


def newest_epochs(model_dir: Path, number: int) -> list[str]:
    """List the checkpoints of the last epochs, oldest first.

    Raises:
        ConfigError: where there are fewer.
    """
    epochs = {}
    for file in Path(model_dir).glob("model.pt.ep*"):
        found = re.fullmatch(r"model\.pt\.ep(\d+)", file.name)
        if found:
            epochs[int(found[1])] = file.name
    if number < 1 or len(epochs) < number:
        raise ConfigError(f"{model_dir}: asked for the last {number} epochs, found {len(epochs)} checkpoints")
    return [epochs[epoch] for epoch in sorted(epochs)[-number:]]


def average_checkpoints(
    files: Sequence[Path], output: Path, start: Path | None = None, start_share: float = 0.5
) -> list[tuple[Path, float]]:
    """Write the mean of the weights of several files; counters are those of the last one.

    Args:
        files: checkpoints with the same names and shapes.
        output: the file to write.
        start: a checkpoint that counts by ``start_share``; the files share the rest alike.
        start_share: how much of the start, from 0 to 1.

    Returns:
        Each file, and how much of it the mean has.

    Raises:
        ConfigError: for a file that is missing or has other names or shapes.
    """
    shares = [] if start is None else [(start, start_share)]
    rest = 1 - sum(share for _, share in shares)
    shares += [(file, rest / len(files)) for file in files]
    total = {}
    for file, share in shares:
        if not Path(file).is_file():
            raise ConfigError(f"no such checkpoint: {file}")
        state = read_checkpoint(file)
        if total and (differ := _differences(total, state)):
            raise ConfigError(f"{file} does not fit {shares[0][0]}: {', '.join(differ[:20])}")
        for name, value in state.items():
            if value.is_floating_point():
                total[name] = total.get(name, 0) + share * value.double()
            else:
                total[name] = value
    mean = {name: total[name].to(value.dtype) for name, value in state.items()}
    with atomic_write(output, "wb") as stream:
        torch.save(mean, stream)
    return shares


def _differences(first: dict, second: dict) -> list[str]:
    """Name what one has and the other has not, or has in another shape."""
    return sorted(
        name
        for name in first.keys() | second.keys()
        if name not in first or name not in second or first[name].shape != second[name].shape
    )
