"""A copy of one of FunASR's model directories with other weights, for models that are FunASR's own."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from funasr_sap.data.files import atomic_write, copy_file
from funasr_sap.errors import ConfigError

LAYOUT = "configuration.json"  # which files of the directory go where in the configuration
WEIGHTS = "init_param"
# What FunASR looks for in a directory without a layout.
KNOWN = ("config.yaml", "tokens.json", "tokens.txt", "seg_dict", "bpe.model", "am.mvn", "jieba_usr_dict")


def write_funasr_directory(path: Path, source: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Write a model directory that ``AutoModel(model=path)`` loads, and that needs no other one.

    Args:
        path: the directory, made where it is missing; what it holds is replaced.
        source: a model directory, whose configuration and vocabulary are copied.
        state: the weights.

    Raises:
        ConfigError: ``source`` is no model directory.
    """
    if not (source / "config.yaml").is_file():
        raise ConfigError(f"{source} holds no config.yaml; expected a model directory of FunASR")
    layout = source / LAYOUT
    metas = (
        json.loads(layout.read_text(encoding="utf-8")).get("file_path_metas", {}) if layout.is_file() else {}
    )
    weights = metas.pop(WEIGHTS, "model.pt")
    path.mkdir(parents=True, exist_ok=True)
    for name in {*KNOWN, LAYOUT, *file_names(metas)}:
        if (source / name).is_file():
            copy_file(source / name, path / name)
    # Last: with its weights, the directory is complete.
    with atomic_write(path / weights, "wb") as stream:
        torch.save(dict(state), stream)


def file_names(metas: object) -> Iterator[str]:
    """Yield all names in the layout's tree."""
    if isinstance(metas, str):
        yield metas
    elif isinstance(metas, Mapping):
        for value in metas.values():
            yield from file_names(value)
    elif isinstance(metas, list):
        for value in metas:
            yield from file_names(value)
