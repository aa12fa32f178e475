"""The configurations that come with the package: ``conf/`` in it, which the checkout's ``conf`` links to."""

import os
from pathlib import Path

from funasr_sap.errors import ConfigError

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
