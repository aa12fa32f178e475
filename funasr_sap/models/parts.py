"""What every part of the model can be told, whatever it is built from: what of it trains, in which precision.

A part's section (``audio_encoder_conf``, ``llm_conf``, ...) holds these options beside its class's arguments.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import peft
import torch
from funasr.models.transformer.utils.repeat import MultiSequential
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from funasr_sap.errors import ConfigError
from funasr_sap.models.builder import build

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
OUTPUT_LAYER = "lm_head"  # no adapter there: it is often the embedding itself


@dataclasses.dataclass(frozen=True)
class PartOptions:
    """How a part is used.

    Attributes:
        freeze: it does not train; it stays in evaluation mode.
        lora_conf: arguments of ``peft.LoraConfig``; then the adapters train and the part's own weights stay.
        gradient_checkpointing: its layers are computed again in the backward pass, which saves memory.
        dtype: "fp32", "bf16" or "fp16"; None keeps that of the weights.
        init_param_path: a directory or a file of published weights for this part.
    """

    freeze: bool = False
    lora_conf: Mapping | None = None
    gradient_checkpointing: bool = False
    dtype: str | None = None
    init_param_path: str | None = None

    @property
    def is_frozen(self) -> bool:
        """Tell whether nothing of the part trains, adapters included."""
        return self.freeze and self.lora_conf is None


def split_options(where: str, conf: Mapping | None) -> tuple[PartOptions, dict]:
    """Part a section into the options of any part and the arguments of its class.

    Args:
        where: the section's name in messages.
        conf: the section.

    Raises:
        ConfigError: for an option of the wrong type.
    """
    conf = dict(conf or {})
    names = [field.name for field in dataclasses.fields(PartOptions)]
    options = PartOptions(**{name: conf.pop(name) for name in names if name in conf})
    for name in ("freeze", "gradient_checkpointing"):
        if not isinstance(getattr(options, name), bool):
            raise ConfigError(f"{where}.{name}: expected true or false, got {getattr(options, name)!r}")
    if options.dtype not in (None, *DTYPES):
        raise ConfigError(f"{where}.dtype: expected one of {', '.join(DTYPES)}, got {options.dtype!r}")
    if options.lora_conf is not None and not isinstance(options.lora_conf, Mapping):
        raise ConfigError(
            f"{where}.lora_conf: expected keys such as r and lora_alpha, got {options.lora_conf!r}"
        )
    return options, conf


def prepare(where: str, module: nn.Module, options: PartOptions) -> nn.Module:
    """Cast a part, add its adapters, and say what of it trains.

    Args:
        where: the part's section in messages.
        module: the part, with its weights.
        options: what its section says.

    Returns:
        The part, changed in place.

    Raises:
        ConfigError: for adapters that fit no layer, and for a part that cannot checkpoint its gradients.
    """
    if options.dtype is not None:
        module.to(DTYPES[options.dtype])
    if options.gradient_checkpointing:
        _checkpoint_gradients(where, module)
    if options.lora_conf is not None:
        _add_adapters(where, module, options.lora_conf)
    elif options.is_frozen:
        module.requires_grad_(False)
    return module


def _add_adapters(where: str, module: nn.Module, conf: Mapping) -> None:
    conf = {"target_modules": linear_layers(module), **conf}
    conf["target_modules"] = list(conf["target_modules"])
    config = build(f"{where}.lora_conf", peft.LoraConfig, conf)
    try:
        peft.inject_adapter_in_model(config, module)
    except ValueError:
        layers = ", ".join(linear_layers(module)) or "none"
        wanted = ", ".join(conf["target_modules"])
        raise ConfigError(
            f"{where}.lora_conf.target_modules: none of {wanted} is a layer of this part; it has {layers}"
        ) from None
    for name, parameter in module.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if "lora_" in name and not parameter.is_meta:  # half precision loses small steps
            parameter.data = parameter.data.float()


def linear_layers(module: nn.Module) -> list[str]:
    """List the names of the linear layers that adapters can sit on."""
    names = (name.rpartition(".")[2] for name, each in module.named_modules() if isinstance(each, nn.Linear))
    return sorted({name for name in names if name and name != OUTPUT_LAYER and not name.isdigit()})


def _checkpoint_gradients(where: str, module: nn.Module) -> None:
    """Let the layers of a part be computed twice: transformers knows how, all others are wrapped."""
    models = [each for each in module.modules() if isinstance(each, PreTrainedModel)]
    if models:
        name = "activation_checkpointing_enable"  # its name from transformers 6 on
        enable = getattr(models[0], name, models[0].gradient_checkpointing_enable)
        enable({"use_reentrant": False})
        return
    stacks = [each for each in module.modules() if isinstance(each, nn.ModuleList | MultiSequential)]
    if not stacks:
        raise ConfigError(f"{where}.gradient_checkpointing: {type(module).__name__} has no stack of layers")
    for layer in (layer for stack in stacks for layer in stack):
        layer.forward = _Recomputed(layer.forward)


class _Recomputed:
    """A layer's ``forward`` that keeps no activations."""

    def __init__(self, forward: Callable[..., Any]):
        self.forward = forward

    def __call__(self, *args, **kwargs):
        if not torch.is_grad_enabled():
            return self.forward(*args, **kwargs)
        return checkpoint(self.forward, *args, use_reentrant=False, **kwargs)


def parameter_table(model: nn.Module) -> str:
    """Write a table of the parts: parameters, trainable ones, and dtypes."""
    rows = [("part", "parameters", "trainable", "dtype")]
    total = trainable = 0
    for name, part in model.named_children():
        own = list(part.parameters())
        counts = sum(p.numel() for p in own), sum(p.numel() for p in own if p.requires_grad)
        total, trainable = total + counts[0], trainable + counts[1]
        dtypes = sorted({str(p.dtype).removeprefix("torch.") for p in own})
        rows.append((name, f"{counts[0]:,}", f"{counts[1]:,}", ", ".join(dtypes) or "-"))
    rows.append(("all", f"{total:,}", f"{trainable:,}", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = (
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip()
        for row in rows
    )
    return "\n".join(lines)
