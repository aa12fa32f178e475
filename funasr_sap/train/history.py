"""The validations of a training, in a file that outlives crashes: which was best, and how long ago."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

from funasr_sap.data.files import atomic_write
from funasr_sap.errors import ConfigError

FILE = "validations.jsonl"
HIGHER_IS_BETTER = frozenset({"acc"})
METRICS = ("loss", "acc", "wer", "b_wer")  # what checkpoints may be chosen by


class ValidationHistory:
    """Results of validations in order; a line of JSON each, ``{"step", "epoch", "checkpoint", "loss", ...}``.

    Args:
        folder: of the training, where the file lies.
    """

    def __init__(self, folder: str | os.PathLike):
        self.path = Path(folder) / FILE
        self.entries: list[dict] = []
        if self.path.is_file():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            self.entries = [json.loads(line) for line in lines]

    def forget_after(self, step: int) -> None:
        """Leave out what a training that resumes at a step will do again."""
        self.entries = [each for each in self.entries if each["step"] <= step]

    def add(
        self, step: int, epoch: int, checkpoint: str, results: Mapping[str, float], write: bool = True
    ) -> None:
        """Note one validation; of a step that is there already, the new results count.

        Args:
            step: batches since the training began.
            epoch: epochs that were complete.
            checkpoint: the file that this model is saved in, if it is.
            results: by the names of ``LABELS`` in ``funasr_sap.train.validation``.
            write: False on all ranks but one.
        """
        known = {name: value for name, value in results.items() if math.isfinite(value)}
        self.entries = [each for each in self.entries if each["step"] != step]
        self.entries.append({"step": step, "epoch": epoch, "checkpoint": checkpoint, **known})
        if write:
            with atomic_write(self.path) as stream:
                stream.writelines(f"{json.dumps(each)}\n" for each in self.entries)

    def best(self, metric: str) -> dict | None:
        """Return the first of the best entries; None where none has the metric."""
        known = [each for each in self.entries if metric in each]
        choose = max if metric in HIGHER_IS_BETTER else min
        return choose(known, key=lambda each: each[metric]) if known else None

    def since_best(self, metric: str) -> int:
        """Count the validations after the best one."""
        best = self.best(metric)
        return 0 if best is None else len(self.entries) - 1 - self.entries.index(best)


def check_metric(where: str, metric: str) -> str:
    """Raise on what no checkpoint can be chosen by."""
    if metric not in METRICS:
        raise ConfigError(f"{where}: expected one of {', '.join(METRICS)}, got {metric!r}")
    return metric
