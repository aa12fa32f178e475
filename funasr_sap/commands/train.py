"""``funasr-sap train``: see ``funasr_sap.train.main``, which ``torchrun -m`` starts too."""

from funasr_sap.train.main import train_from_shell as main

__all__ = ["main"]
