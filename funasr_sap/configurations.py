"""The configurations that come with the package: ``conf/`` in it, which the checkout's ``conf`` links to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from funasr_sap.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig, ListConfig

FOLDER = Path(__file__).parent / "conf"
SUFFIX = ".yaml"


def list_configurations() -> list[str]:
    """Name the package's configurations, such as "finetune"."""
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def find_configuration(path: str | os.PathLike) -> Path:
    """Find a file, or the package's own: by its name, or by its path from the root of a checkout.

    Args:
        path: "mine.yaml", "sap2_osum", "conf/sap2_osum.yaml" or "conf/deepspeed/zero2.json"; what is there in
            the current folder comes first.

    Raises:
        ConfigError: where there is neither.
    """
    if os.path.isfile(path):
        return Path(path)
    name = os.fspath(path).removeprefix("conf/")
    for candidate in (FOLDER / name, FOLDER / f"{name}{SUFFIX}"):
        if candidate.is_file():
            return candidate
    raise ConfigError(
        f"no such configuration: {path}; expected a file, or one of {', '.join(list_configurations())}"
    )


def as_dict(config: DictConfig | ListConfig, resolve: bool = True) -> dict:
    """Turn a configuration of OmegaConf's into dicts and lists.

    Args:
        config: the configuration.
        resolve: put the values of interpolations in their places.

    Raises:
        ConfigError: where its root is no mapping.
    """
    from omegaconf import OmegaConf  # slow

    plain = OmegaConf.to_container(config, resolve=resolve)
    if not isinstance(plain, dict):
        raise ConfigError(f"configuration: expected a mapping, got {plain!r:.80}")
    return plain
