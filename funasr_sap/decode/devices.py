"""The devices that processes decode on."""

import re

import torch

from funasr_sap.data.processes import count_cpus
from funasr_sap.errors import ConfigError


def choose_devices(device: str = "cuda", gpus: str | None = None, nj: int | None = None) -> list[str]:
    """Choose the device of each process.

    Args:
        device: "cpu", "cuda" (all GPUs), "cuda:1", ...; without a GPU, the CPU.
        gpus: numbers of GPUs, "0,1", instead of all.
        nj: processes; None = one a GPU, or one on the CPU. More than there are GPUs share them.

    Raises:
        ConfigError: for GPUs that are not there, or less than one process.
    """
    if nj is not None and nj < 1:
        raise ConfigError(f"nj: expected 1 process or more, got {nj}")
    found = torch.cuda.device_count()
    if gpus is not None:
        devices = [f"cuda:{number}" for number in _parse_gpus(gpus, found)]
    elif not device.startswith("cuda"):
        devices = [device]
    elif not found:
        devices = ["cpu"]
    else:
        devices = [f"cuda:{number}" for number in range(found)] if device == "cuda" else [device]
    return [devices[number % len(devices)] for number in range(nj or len(devices))]


def share_threads(processes: int) -> int:
    """Share the CPUs out: threads of each process."""
    return max(1, count_cpus() // max(1, processes))


def _parse_gpus(gpus: str, found: int) -> list[int]:
    if not re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*", gpus):
        raise ConfigError(f"gpus: expected numbers of GPUs such as 0,1, got {gpus!r}")
    numbers = list(dict.fromkeys(map(int, gpus.split(","))))
    missing = [number for number in numbers if number >= found]
    if missing:
        raise ConfigError(f"gpus: got {gpus}, but this machine has {found} CUDA device(s), numbered from 0")
    return numbers
