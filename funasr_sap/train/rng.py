"""The states of all random generators of a process, for a checkpoint."""

import random

import numpy as np
import torch

SEED_STEP = 1_000_003  # between the seeds of processes


def seed_all(seed: int, rank: int = 0) -> None:
    """Seed Python's, numpy's and torch's generators, each process's differently."""
    seed += SEED_STEP * rank
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)  # CUDA's too


def get_states(device: str) -> dict:
    """Read the states, as types that ``torch.load(weights_only=True)`` takes."""
    numpy = np.random.get_state(legacy=False)
    keys, place = numpy["state"]["key"], numpy["state"]["pos"]
    rest = place, numpy["has_gauss"], numpy["gauss"]
    states = {
        "python": random.getstate(),
        "numpy": (numpy["bit_generator"], torch.from_numpy(keys.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
    }
    if device.startswith("cuda"):
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_states(states: dict, device: str) -> None:
    """Go on from states that ``get_states`` read."""
    random.setstate(states["python"])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if "cuda" in states and device.startswith("cuda"):
        torch.cuda.set_rng_state(states["cuda"], device)
