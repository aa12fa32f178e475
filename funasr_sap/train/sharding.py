"""Models whose weights are shared out over processes (FSDP), and what a checkpoint sees of them: all."""

import contextlib
from collections.abc import Callable

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from funasr_sap.train.distributed import Process


def shard(model: nn.Module, process: Process, is_due: Callable[[], bool]) -> nn.Module:
    """Share a model's weights out; each process holds a part of each, and of its optimiser's state.

    Args:
        model: on the process's device already.
        process: this one.
        is_due: tells whether the step under way ends in an update; until then, gradients stay unshared.
    """
    mesh = init_device_mesh(torch.device(process.device).type, (process.world_size,))
    model.register_forward_hook(touch_all)
    blocks = [child for part in model.modules() if isinstance(part, nn.ModuleList) for child in part]
    for block in blocks:  # gathered one at a time
        if not isinstance(block, FSDPModule) and any(True for _ in block.parameters()):
            fully_shard(block, mesh=mesh)
    sharded = fully_shard(model, mesh=mesh)  # the same object

    @contextlib.contextmanager
    def no_sync():
        sharded.set_requires_gradient_sync(is_due())
        yield
        sharded.set_requires_gradient_sync(True)

    vars(model)["no_sync"] = no_sync  # FunASR's Trainer asks for it, as DistributedDataParallel has it
    return model


def touch_all(model: nn.Module, inputs, outputs):
    """Give each weight a gradient, if need be of 0: all processes must have the same ones to share.

    A forward hook. Weights of which each process holds a part (FSDP, ZeRO-3) are left as they are.
    """
    loss, *others = outputs
    if loss.requires_grad:
        own = [each for each in model.parameters() if each.requires_grad and not is_in_parts(each)]
        loss = loss + 0.0 * sum(each.sum(dtype=torch.float32) for each in own)
    return loss, *others


def is_in_parts(parameter: nn.Parameter) -> bool:
    """Tell whether each process holds only a part of a weight: FSDP, or ZeRO-3."""
    return isinstance(parameter, DTensor) or hasattr(parameter, "ds_id")


def whole(part):
    """Return a model or an optimiser as one process alone would have it, for its state."""
    if isinstance(part, DistributedDataParallel):
        return part.module
    if isinstance(part, FSDPModule) and isinstance(part, nn.Module):
        return _WholeModel(part)
    if isinstance(part, torch.optim.Optimizer) and any(map(_is_shared, part.param_groups[0]["params"])):
        return _WholeOptimizer(part)
    return part


def _is_shared(value) -> bool:
    return isinstance(value, DTensor)


def _gather(value):
    """Collect a tensor from all processes, onto the CPU; each of them has to call this."""
    return value.full_tensor().cpu() if _is_shared(value) else value


def _share_out(value, like):
    """Keep this process's part of a tensor, where the one that it is for is shared."""
    if not _is_shared(like) or not torch.is_tensor(value) or value.shape != like.shape:
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)


class _WholeModel:
    def __init__(self, model: nn.Module):
        self.model = model

    def state_dict(self) -> dict:
        return {name: _gather(value) for name, value in self.model.state_dict().items()}

    def load_state_dict(self, state: dict):
        own = self.model.state_dict()
        return self.model.load_state_dict(
            {name: _share_out(value, own[name]) for name, value in state.items()}
        )

    def to(self, device):
        return self


class _WholeOptimizer:
    def __init__(self, optim: torch.optim.Optimizer):
        self.optim = optim

    def state_dict(self) -> dict:
        state = self.optim.state_dict()
        values = {
            number: {name: _gather(value) for name, value in each.items()}
            for number, each in state["state"].items()
        }
        return state | {"state": values}

    def load_state_dict(self, state: dict) -> None:
        own = [each for group in self.optim.param_groups for each in group["params"]]
        values = {
            number: {name: _share_out(value, own[number]) for name, value in each.items()}
            for number, each in state["state"].items()
        }
        self.optim.load_state_dict(state | {"state": values})
