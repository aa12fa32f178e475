"""The checkpoints of a training's folder: each whole or not there at all, and no more of them than wanted.

model.pt             the newest, from which a training goes on
model.pt.best        the best of the validated ones
model.pt.ep2         after two epochs
model.pt.ep2.500     500 batches later

The names are FunASR's. Those of one state are links to one file, and take its space once.
"""

import os
import shutil
from pathlib import Path

import torch

from funasr_sap.data.files import atomic_write

LATEST, BEST = "model.pt", "model.pt.best"


def checkpoint_name(epoch: int, step: int | None = None) -> str:
    """Name a checkpoint as FunASR does.

    Args:
        epoch: epochs that are done.
        step: batches of the next one that are done; None at an epoch's end.
    """
    return f"{LATEST}.ep{epoch}" if step is None else f"{LATEST}.ep{epoch}.{step}"


class Checkpoints:
    """Writes checkpoints, and removes those that are no longer wanted.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)

    def write(self, state: dict, name: str, is_best: bool) -> None:
        """Write a state under its name, as the newest, and maybe as the best.

        Raises:
            OSError: where it cannot be written; what was there before is untouched.
        """
        self.remove_halves()
        file = self.folder / name
        with atomic_write(file, "wb") as stream:
            _save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        for other in (BEST, LATEST) if is_best else (LATEST,):
            _link(file, self.folder / other)
        _sync(self.folder)

    def prune(self, wanted: set[str]) -> None:
        """Remove all but the wanted ones; ``model.pt`` and ``model.pt.best`` stay."""
        for file in self.folder.glob(f"{LATEST}.ep*"):
            if file.is_file() and file.name not in wanted:
                file.unlink()

    def remove_halves(self) -> None:
        """Remove what a process that was killed left half written."""
        for file in self.folder.glob(f".{LATEST}*"):
            file.unlink()


def _save(state: dict, stream) -> None:
    try:
        torch.save(state, stream)
    except RuntimeError as error:  # torch's account of a write that failed
        cause = error.__context__ or error.__cause__
        raise cause if isinstance(cause, OSError) else OSError(f"{error}".partition("\n")[0]) from None


def _link(file: Path, other: Path) -> None:
    """Give a file a second name, at once; where the file system has no links, a copy."""
    temporary = other.with_name(f".{other.name}.link")
    try:
        os.link(file, temporary)
    except OSError:
        with atomic_write(other, "wb") as target, open(file, "rb") as source:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        return
    os.replace(temporary, other)
    temporary.unlink(missing_ok=True)  # the two names were one file's already


def _sync(folder: Path) -> None:
    """Make new names last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
