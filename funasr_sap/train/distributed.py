"""The processes of one training: who they are, and what they have to agree on."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from funasr_sap.errors import ConfigError

_LEFT = []  # process groups, see ``joined``


@dataclass(frozen=True)
class Process:
    """One process of a training, as ``torchrun`` numbers them.

    Attributes:
        device: where it computes: "cpu", or a GPU of its own.
        rank: among all processes.
        local_rank: among those of its machine.
        world_size: number of processes.
    """

    device: str
    rank: int = 0
    local_rank: int = 0
    world_size: int = 1


def find_process(device: str | None = None) -> Process:
    """Read who this process is from the environment variables that ``torchrun`` sets.

    Args:
        device: "cpu", "cuda" or "cuda:N"; None = a GPU where there is one.

    Raises:
        ConfigError: where a machine has more processes than GPUs.
    """
    rank, local_rank, world_size = (
        int(os.environ.get(name, default))
        for name, default in (("RANK", 0), ("LOCAL_RANK", 0), ("WORLD_SIZE", 1))
    )
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and world_size > 1:
        if local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"torchrun: process {local_rank} of this machine has no GPU, of which there are "
                f"{torch.cuda.device_count()}; lower --nproc-per-node, or set ++device=cpu"
            )
        device = f"cuda:{local_rank}"
    return Process(device, rank, local_rank, world_size)


@contextlib.contextmanager
def joined(process: Process, use_deepspeed: bool = False, backend: str | None = None) -> Iterator[None]:
    """Join the other processes for a while: over NCCL on GPUs, over gloo on CPUs, or as ``backend`` says."""
    if process.device.startswith("cuda"):
        torch.cuda.set_device(process.device)
    if process.world_size == 1 and not use_deepspeed:
        yield
        return
    backend = backend or ("nccl" if process.device.startswith("cuda") else "gloo")
    if use_deepspeed:
        import deepspeed  # pyright: ignore[reportMissingImports]  # whoever asks for it installs it

        deepspeed.init_distributed(dist_backend=backend)
    else:
        dist.init_process_group(backend, init_method="env://")
    try:
        yield
    finally:
        if dist.is_initialized():
            # Freeing a group holds Python's lock and waits for the group's threads; one that still lets go of
            # a tensor needs that lock. So a group is kept for as long as the process lives.
            _LEFT.append(dist.group.WORLD)
            dist.destroy_process_group()


def total(values: Sequence[float] | torch.Tensor, device: str) -> list[float]:
    """Sum values over all processes; each of them has to call this.

    Args:
        values: as many in each process.
        device: where the process computes.
    """
    values = torch.as_tensor(values, dtype=torch.float64, device=device)
    if dist.is_initialized():
        dist.all_reduce(values)
    return values.tolist()


def gather(value: object) -> list:
    """Collect an object from each process, in their order; each of them has to call this."""
    if not dist.is_initialized():
        return [value]
    found = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found


class Replicas(DistributedDataParallel):
    """A model in each process, whose gradients are averaged when an update is due.

    Args:
        model: on the process's device already.
        is_due: tells whether the step under way ends in an update.
        **options: of DistributedDataParallel.
    """

    def __init__(self, model: torch.nn.Module, is_due: Callable[[], bool], **options):
        super().__init__(model, **options)
        self.is_due = is_due

    @contextlib.contextmanager
    def no_sync(self):
        """Keep gradients to oneself, unless an update is due: an epoch's last group may be short."""
        with contextlib.nullcontext() if self.is_due() else super().no_sync():
            yield
