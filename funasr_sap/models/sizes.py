"""How large a configuration is, counted on models that take no memory."""

from collections.abc import Mapping

from accelerate import init_empty_weights
from funasr.register import tables
from torch import nn

from funasr_sap.models.construction import PARTS, Blueprint
from funasr_sap.models.loading import tie_weights
from funasr_sap.models.parts import prepare
from funasr_sap.models.seed_keys import translate

GIB = 2**30
# Freeze settings that are worth comparing: by part, what trains.
SETTINGS = {
    "everything": {},
    "adaptor and LLM": {"audio_encoder": "freeze"},
    "adaptor": {"audio_encoder": "freeze", "llm": "freeze"},
    "adaptor and LoRA": {"audio_encoder": "freeze", "llm": "lora"},
}
LORA = {"r": 8, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}


def build_empty(config: Mapping, setting: Mapping | None = None) -> nn.ModuleDict:
    """Build the parts of a configuration on the ``meta`` device.

    Args:
        config: of ``conf/``, with ``vocab_size`` in ``llm_conf``.
        setting: one of ``SETTINGS``, instead of what the configuration says of training.
    """
    config = translate(config)
    sections = {part: dict(config.get(f"{part}_conf") or {}) for part in PARTS}
    if setting is not None:
        for part, section in sections.items():
            section |= {"freeze": setting.get(part) == "freeze", "lora_conf": None}
            if setting.get(part) == "lora":
                section["lora_conf"] = LORA
    names = {part: config.get(part) for part in PARTS}
    sections = {f"{part}_conf": section for part, section in sections.items()}
    frontend = tables.frontend_classes[config["frontend"]](**config["frontend_conf"])
    blueprint = Blueprint(names, sections, frontend.output_size(), sections["llm_conf"]["vocab_size"])
    with init_empty_weights(include_buffers=False):
        parts = {part: blueprint.build(part) for part in PARTS}
        parts = {part: module for part, module in parts.items() if module is not None}
        for part, module in parts.items():
            prepare(f"{part}_conf", module, blueprint.options[part])
    model = nn.ModuleDict(parts)
    tie_weights(model)  # what is built without memory, transformers leaves apart
    return model


def count(model: nn.Module, trainable: bool = False) -> int:
    """Count parameters, those that are tied once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)


def size_rows(name: str, config: Mapping) -> list[str]:
    """Write a configuration's rows of the table in ``docs/backbones.md``."""
    models = {setting: build_empty(config, parts) for setting, parts in SETTINGS.items()}
    total = count(models["everything"])
    rows = []
    for setting, model in models.items():
        trained = count(model, trainable=True)
        weights = f"{4 * total / GIB:.1f} | {2 * total / GIB:.1f}"
        rows.append(
            f"| {name} | {total / 1e6:,.1f} | {setting} | {trained / 1e6:,.2f} "
            f"| {weights} | {saved(trained)} |"
        )
    return rows


def saved(parameters: int) -> str:
    """Write the size of a checkpoint in fp32, MiB or GiB."""
    size = 4 * parameters
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 2**20:.0f} MiB"
