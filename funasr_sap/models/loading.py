"""Load published weights into a model that takes no memory yet, and report every name that does not fit."""

import dataclasses
import logging
from collections.abc import Callable, Iterable

import torch
from torch import nn
from transformers import PreTrainedModel

from funasr_sap.errors import ConfigError
from funasr_sap.models.parts import DTYPES
from funasr_sap.models.published import Published

SHOWN = 20  # names of each kind in a message


@dataclasses.dataclass
class KeyReport:
    """Names that do not fit.

    Attributes:
        missing: parameters that the weights lack.
        left_over: published names that no parameter takes.
        misshapen: parameters whose weights have another shape, with both.
    """

    missing: list[str] = dataclasses.field(default_factory=list)
    left_over: list[str] = dataclasses.field(default_factory=list)
    misshapen: list[str] = dataclasses.field(default_factory=list)

    def __bool__(self):
        return bool(self.missing or self.left_over or self.misshapen)

    def __str__(self):
        kinds = [
            (len(names), kind.replace("_", " "), names[:SHOWN])
            for kind, names in dataclasses.asdict(self).items()
            if names
        ]
        return "; ".join(
            f"{count} {kind}: {', '.join(names)}{', ...' if count > SHOWN else ''}"
            for count, kind, names in kinds
        )

    def settle(self, where: str, ignore: bool) -> None:
        """Raise on names that do not fit, or print them.

        Raises:
            ConfigError: unless ``ignore``.
        """
        if not self:
            return
        if not ignore:
            raise ConfigError(
                f"{where} does not fit this model; {self}; pass ++ignore_init_mismatch=true to start what is "
                "missing from scratch and to leave the rest out"
            )
        logging.warning("%s: %s", where, self)


def load_published(
    model: nn.Module, published: Published, parts: Iterable[str], dtypes: dict[str, str | None]
) -> tuple[KeyReport, set[str], dict[str, torch.Tensor]]:
    """Put published weights in the place of a model's parameters, one tensor at a time.

    Args:
        model: a ``SAP2`` whose parameters may be on the ``meta`` device, without adapters.
        published: where the weights are.
        parts: names of the parts that they are for.
        dtypes: by part, what floating-point weights become; None keeps what is published.

    Returns:
        What does not fit; the names that were loaded; weights of adapters, which are to be loaded once the
        model has adapters.
    """
    parts = tuple(f"{part}." for part in parts)
    expected = {name: value for name, value in state_of(model).items() if name.startswith(parts)}
    loaded, adapters, report = set(), {}, KeyReport()
    for published_name, value in published.tensors():
        try:
            name = published.rename(published_name)
        except KeyError:
            report.left_over.append(published_name)
            continue
        if name is None or not name.startswith(parts):
            continue
        if ".lora_" in name:
            adapters[name] = value
        elif name not in expected:
            report.left_over.append(published_name)
        elif value.squeeze().shape != expected[name].squeeze().shape:
            shapes = f"{tuple(value.shape)}, expected {tuple(expected[name].shape)}"
            report.misshapen.append(f"{name} {shapes}")
        else:
            dtype = (
                DTYPES.get(dtypes.get(name.partition(".")[0]) or "") if value.is_floating_point() else None
            )
            assign(model, name, value.view(expected[name].shape).to(dtype or value.dtype))
            loaded.add(name)
    loaded |= tie_weights(model)
    wrong_shape = {entry.split()[0] for entry in report.misshapen}
    report.missing = sorted(set(expected) - loaded - wrong_shape)
    return report, loaded, adapters


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """List parameters and persistent buffers by name, however the model saves itself."""
    return nn.Module.state_dict(model)


def assign(model: nn.Module, name: str, value: torch.Tensor) -> None:
    """Put a tensor where a parameter or a buffer is, which may be on another device."""
    owner, _, leaf = name.rpartition(".")
    module = model.get_submodule(owner)
    old = module._parameters.get(leaf)
    if old is not None:
        module._parameters[leaf] = nn.Parameter(value, requires_grad=old.requires_grad)
    else:
        module._buffers[leaf] = value


def tie_weights(model: nn.Module) -> set[str]:
    """Make one tensor of those that are tied in the LLM; name the ones that need no weights of their own."""
    tied = set()
    for name, module in model.named_children():
        if isinstance(module, PreTrainedModel) and module.config.tie_word_embeddings:
            module.tie_weights()
            output = module.get_output_embeddings()
            tied |= {f"{name}.{each}.weight" for each, owner in module.named_modules() if owner is output}
    return tied


def fill_missing(model: nn.Module, names: Iterable[str], build: Callable[[str], nn.Module | None]) -> None:
    """Give parameters that nothing was loaded into the values of a part that is built anew.

    Args:
        model: the model.
        names: names of parameters still on the ``meta`` device.
        build: builds a part by its name, with random weights.
    """
    fresh = {}
    for name in names:
        part, _, rest = name.partition(".")
        if part not in fresh:
            built = build(part)
            fresh[part] = {} if built is None else state_of(built)
        assign(model, name, fresh[part][rest].clone())
