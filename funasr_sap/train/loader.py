"""The batches of an epoch: FunASR's samplers, from any step on, as many in each process."""

import itertools
import logging
import random

import torch
import torch.distributed as dist
from funasr.register import tables
from torch.utils.data import DataLoader
from tqdm import tqdm

from funasr_sap.errors import DataError


class Batches:
    """What a batch sampler of FunASR's gives a process in one epoch.

    Args:
        sampler: with a ``set_epoch``; not all of FunASR's know where to start, nor deal out evenly.
        start: batches to leave out, because they were trained on before.
    """

    def __init__(self, sampler, start: int = 0):
        self.sampler, self.start = sampler, start
        self.epoch, self.batches = None, []

    def set_epoch(self, epoch: int) -> None:
        """Draw the epoch's batches; every process has to take part."""
        if epoch == self.epoch:
            return
        self.epoch = epoch
        self.sampler.set_epoch(epoch)
        state = random.getstate()  # FunASR's samplers seed Python's generator
        batches = list(self.sampler)
        random.setstate(state)
        self.batches = batches[: _fewest(len(batches))]

    def __iter__(self):
        return iter(self.batches[self.start :])

    def __len__(self):
        return len(self.batches)


def _fewest(count: int) -> int:
    """Return the least count of all processes: one with more batches would wait for ever for the others."""
    if not dist.is_initialized():
        return count
    fewest = torch.tensor(count, device=_device())
    dist.all_reduce(fewest, dist.ReduceOp.MIN)
    if int(fewest) < count:
        logging.info("%d of %d batches are left out: another process has no more", count - fewest, count)
    return int(fewest)


def _count_left_out(batches: list[list[int]], size: int) -> int:
    """Count the utterances that are in no process's batches; every process has to take part."""
    seen = torch.zeros(size, dtype=torch.uint8, device=_device())
    seen[list(itertools.chain.from_iterable(batches))] = 1
    if dist.is_initialized():
        dist.all_reduce(seen, dist.ReduceOp.MAX)
    return size - int(seen.sum())


def _device() -> str:
    """Return where processes talk to each other."""
    return "cuda" if dist.is_initialized() and dist.get_backend() == "nccl" else "cpu"


class Loader(tables.dataloader_classes["DataloaderMapStyle"]):
    """FunASR's pair of dataloaders, with ``Batches`` and a progress bar.

    Args:
        label: what the bar says; "{epoch}" is filled in. None shows no bar.
        **kwargs: as FunASR's.
    """

    def __init__(self, label: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.label = label
        self.told: set[str] = set()  # what was said of utterances in no batch

    def build_iter(self, epoch: int = 0, data_split_i: int = 0, start_step: int = 0, **kwargs):
        """Build the dataloaders of an epoch, for training from ``start_step`` on, and for validation."""
        train = self._build(self.dataset_tr, epoch, start_step, is_training=True)
        return train, self._build(self.dataset_val, epoch, 0, is_training=False)

    def _build(self, dataset, epoch: int, start: int, is_training: bool) -> "ProgressLoader":
        conf = self.kwargs["dataset_conf"]
        make = tables.batch_sampler_classes[conf.get("batch_sampler", "BatchSampler")]
        options = make(dataset, is_training=is_training, **conf)
        if hasattr(dataset, "set_epoch"):
            dataset.set_epoch(epoch)
        batches = Batches(options.pop("batch_sampler"), start)
        batches.set_epoch(epoch)
        self._tell_left_out(batches.batches, dataset, is_training)
        label = self.label.format(epoch=epoch + 1) if self.label and is_training else None
        # A generator of its own: starting to load draws from it, and a resumed training starts once more.
        generator = torch.Generator().manual_seed(epoch)
        return ProgressLoader(
            DataLoader(
                dataset, batch_sampler=batches, collate_fn=dataset.collator, generator=generator, **options
            ),
            batches,
            label,
        )

    def _tell_left_out(self, batches: list[list[int]], dataset, is_training: bool) -> None:
        """Say how many utterances are not used; FunASR's samplers leave long ones out without a word.

        Raises:
            DataError: where these are all.
        """
        left_out, kind = _count_left_out(batches, len(dataset)), "training" if is_training else "validation"
        text = (
            f"{left_out} of {len(dataset)} utterances of the {kind} set are in no batch; see "
            "max_token_length (frames of 10 ms) and drop_last of dataset_conf"
        )
        if left_out == len(dataset):
            raise DataError(text)
        if left_out and text not in self.told:
            logging.warning("%s", text)
        self.told.add(text)


class ProgressLoader:
    """A dataloader that shows its progress, or none where it has no label."""

    def __init__(self, loader: DataLoader, batches: Batches, label: str | None):
        self.loader, self.label = loader, label
        self.batch_sampler, self.dataset = batches, loader.dataset

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        bar = {"desc": self.label, "mininterval": 5, "disable": None if self.label else True}
        return iter(tqdm(self.loader, total=len(self), initial=self.batch_sampler.start, **bar))
