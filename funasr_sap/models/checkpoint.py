"""What a model saves of itself: published names, and nothing that its backbone gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from funasr_sap.errors import ConfigError
from funasr_sap.models.loading import KeyReport, state_of, tie_weights
from funasr_sap.models.published import read_checkpoint

if TYPE_CHECKING:
    from funasr_sap.models.sap2 import SAP2

SAFETENSORS = "model.safetensors"
WRAPPED = ".base_layer."  # peft's infix for the weights that an adapter sits on


def saved_names(model: SAP2) -> dict[str, str]:
    """Tell what a checkpoint holds: by its name there, the name in the model.

    Left out are parameters that came with the backbone and do not train: they are in its own files.
    """
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    names = {}
    for name in state_of(model):
        plain = name.replace(WRAPPED, ".")
        if name in trained or plain not in model.from_backbone:
            names[plain] = name
    return names


def saved_state(model: SAP2, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Keep of a whole state what a checkpoint holds, under its names there."""
    return {plain: state[name] for plain, name in saved_names(model).items()}


def whole_state(model: SAP2, saved: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give the names of a checkpoint those in the model; unknown ones stay as they are."""
    names = {name.replace(WRAPPED, "."): name for name in state_of(model)}
    return {names.get(name, name): value for name, value in saved.items()}


def load_safetensors(model: SAP2, missing: Path) -> None:
    """Load the weights of a directory that has ``model.safetensors``, as ``export --format hf`` writes it.

    Args:
        model: the model.
        missing: the directory, or the ``model.pt`` that it lacks.

    Raises:
        ConfigError: where there are no weights, or others than the model's.
    """
    folder = missing if missing.is_dir() else missing.parent
    if not (folder / SAFETENSORS).is_file():
        raise ConfigError(f"model: no weights in {missing}; expected model.pt or {SAFETENSORS}")
    model.init_param = str(folder / SAFETENSORS)
    load_fitting(model, read_checkpoint(folder / SAFETENSORS))


def load_fitting(model: SAP2, state: Mapping[str, torch.Tensor]) -> None:
    """Load what fits, as FunASR does, and let the model refuse the rest.

    Raises:
        ConfigError: for weights that do not fit.
    """
    expected = model.state_dict()
    fitting = {
        name: value
        for name, value in state.items()
        if name in expected and value.shape == expected[name].shape
    }
    model.load_state_dict(fitting, strict=False)
    model.on_pretrained_model_loaded(frozenset(fitting))


def report_of(model: SAP2, loaded: frozenset[str], file: str | None) -> KeyReport:
    """Compare a checkpoint with what the model needs.

    Adapters that a checkpoint knows nothing of are fresh ones, and change nothing before they train.

    Args:
        model: a ``SAP2``.
        loaded: names that were loaded.
        file: the checkpoint, whose names and shapes are compared where it is given.
    """
    expected = {plain: state_of(model)[name] for plain, name in saved_names(model).items()}
    missing = expected.keys() - loaded - model.from_backbone - tie_weights(model)
    adapters = {name for name in expected if ".lora_" in name}
    if not adapters & loaded:
        missing -= adapters
    report = KeyReport(missing=sorted(missing))
    if file is not None:
        saved = read_checkpoint(file)
        wrong = [name for name in missing if name in saved and saved[name].shape != expected[name].shape]
        report.misshapen = sorted(
            f"{name} {tuple(saved[name].shape)}, expected {tuple(expected[name].shape)}" for name in wrong
        )
        report.missing = sorted(missing - set(wrong))
        known = {name.replace(WRAPPED, ".") for name in state_of(model)}
        report.left_over = sorted(saved.keys() - known)
    return report
