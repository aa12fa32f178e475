"""Packages that only some uses need: they are imported where they are used, or named in one sentence."""

import importlib
from types import ModuleType

from funasr_sap.errors import ConfigError

# The package that a module comes from, and the extra of ours that installs it.
EXTRAS = {
    "espeakng_loader": ("espeakng-loader", "recipes"),
    "matplotlib.figure": ("matplotlib", "plot"),
    "openpyxl": ("openpyxl", "data"),
    "pypinyin": ("pypinyin", "zh"),
    "wetext": ("wetext", "zh"),
    "wordfreq": ("wordfreq", "recipes"),
}


def import_extra(module: str, what: str) -> ModuleType:
    """Import a module of ``EXTRAS``.

    Args:
        module: its name.
        what: that needs it, for the message.

    Raises:
        ConfigError: where it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package, extra = EXTRAS[module]
        raise ConfigError(
            f"{what} needs the package {package}, of the extra {extra!r}, which is not installed: "
            f"pip install 'funasr-sap[{extra}]'"
        ) from error
