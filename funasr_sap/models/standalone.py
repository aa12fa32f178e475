"""A model that needs no backbone: adapters merged, added tokens in the LLM's table, weights in one file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import yaml
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save

from funasr_sap.data.files import atomic_write
from funasr_sap.metrics.report import HEADER, format_rows, markdown_table, read_score
from funasr_sap.models.directory import (
    PART_SECTIONS,
    WEIGHTS,
    build_model,
    model_config,
    read_model_config,
    stands_on_backbone,
    write_model_directory,
    write_tokenizer,
)
from funasr_sap.models.published import read_checkpoint
from funasr_sap.train.record import read_record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from funasr_sap.models.new_tokens import NewTokens
    from funasr_sap.models.sap2 import SAP2

# Options of a part that lead to other files, or to adapters that are merged.
LEADS_ELSEWHERE = ("lora_conf", "init_param_path", "freeze", "gradient_checkpointing")


def read_standalone(
    model_dir: str | os.PathLike, checkpoint: str = "model.pt"
) -> tuple[dict, dict, PreTrainedTokenizerFast | None]:
    """Read all weights of a model directory, those of its backbone included.

    Args:
        model_dir: the directory.
        checkpoint: the file of its weights.

    Returns:
        The weights by name; the configuration without backbone and adapters; the tokenizer where it has more
        tokens than the directory's, else None.
    """
    config = read_model_config(model_dir)
    has_adapters = any((config.get(section) or {}).get("lora_conf") for section in PART_SECTIONS)
    if not has_adapters and not stands_on_backbone(config):
        return dict(read_checkpoint(Path(model_dir) / checkpoint)), config, None
    model = build_model(model_dir, checkpoint)
    return standalone_state(model), standalone_config(config), model.tokenizer


@torch.no_grad()
def standalone_state(model: SAP2) -> dict[str, torch.Tensor]:
    """Merge the adapters and the added tokens of a model into its weights, in place, and list these."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, BaseTunerLayer):
                child.merge(safe_merge=True)
                setattr(module, name, child.get_base_layer())
    if model.new_tokens is not None:
        _move_new_tokens(model, model.new_tokens)
    model.from_backbone = frozenset()
    return {name: value.contiguous() for name, value in model.state_dict().items()}


def _move_new_tokens(model: SAP2, added: NewTokens) -> None:
    ids = added.ids
    rows = model.llm.get_input_embeddings().num_embeddings
    if int(ids.max()) >= rows:
        model.llm.resize_token_embeddings(int(ids.max()) + 1, mean_resizing=False)
    table = model.llm.get_input_embeddings().weight
    table[ids] = added.weight.to(table.dtype)
    model.new_tokens, model.added_ids = None, []


def standalone_config(config: dict) -> dict:
    """Take out of a configuration what leads to other files."""
    alone = {key: value for key, value in config.items() if key not in ("backbone", "hub")}
    for section in PART_SECTIONS:
        if alone.get(section):
            alone[section] = {k: v for k, v in alone[section].items() if k not in LEADS_ELSEWHERE}
    return alone


def write_standalone(
    output_dir: str | os.PathLike,
    state: dict,
    config: dict,
    source: str | os.PathLike,
    tokenizer: PreTrainedTokenizerFast | None = None,
    format: str = "funasr",
) -> None:
    """Write a model directory with all its weights, and its card.

    Args:
        output_dir: the directory.
        state: weights by name.
        config: the model's configuration.
        source: the directory that it comes from.
        tokenizer: written instead of the source's.
        format: a key of ``WEIGHTS``.
    """
    output_dir = Path(output_dir)
    table = state.get("llm.model.embed_tokens.weight")
    if table is not None and "vocab_size" in (config.get("llm_conf") or {}):
        config = config | {"llm_conf": config["llm_conf"] | {"vocab_size": len(table)}}
    write_model_directory(output_dir, config, source=source)
    if tokenizer is not None:
        write_tokenizer(output_dir, tokenizer)
    with atomic_write(output_dir / WEIGHTS[format], "wb") as stream:
        if format == "hf":
            stream.write(save(_untied(state), metadata={"format": "pt"}))
        else:
            torch.save(state, stream)
    if format == "hf":
        with atomic_write(output_dir / "config.json") as stream:
            json.dump({"model_type": "sap2", **model_config(config)}, stream, indent=2, ensure_ascii=False)
    with atomic_write(output_dir / "README.md") as stream:
        stream.write(model_card(state, config, Path(source)))


def _untied(state: dict) -> dict:
    """Leave out second names of one tensor: safetensors refuses them."""
    kept, seen = {}, set()
    for name, value in state.items():
        place = (value.data_ptr(), value.numel())
        if place not in seen:
            kept[name] = value
            seen.add(place)
    return kept


def model_card(state: dict, config: dict, source: Path) -> str:
    """Write what a model is: parts, what it was trained on, and results, as far as its directory says."""
    parts = {}
    for name, value in state.items():
        part = name.partition(".")[0]
        parts[part] = parts.get(part, 0) + value.numel()
    rows = "\n".join(f"| {part} | {config.get(part) or ''} | {count:,} |" for part, count in parts.items())
    original = read_model_config(source)
    flags = {section: original[section] for section in PART_SECTIONS if original.get(section)}
    return (
        "---\nlicense: apache-2.0\ntags: [automatic-speech-recognition, funasr, sap2]\n---\n\n"
        f"# {source.resolve().name}\n\nA SAP² recogniser, for `funasr_sap`.\n\n"
        f"Backbone: {original.get('backbone', 'none')}.\n\n"
        f"| part | class | parameters |\n| --- | --- | ---: |\n{rows}\n\n"
        f"## Sections of its configuration\n\n```yaml\n{yaml.safe_dump(flags, sort_keys=False)}```\n\n"
        f"## Trained on\n\n```yaml\n{read_record(source)}```\n\n## Results\n\n{_results(source)}\n"
    )


def _results(source: Path) -> str:
    """Write the results of a directory: its ``RESULTS.md``, and what ``score --json`` left there."""
    written = source / "RESULTS.md"
    parts = [written.read_text(encoding="utf-8").strip()] if written.is_file() else []
    scores = sorted(source.rglob("score*.json"))
    if scores:
        rows = [(str(file.relative_to(source).with_suffix("")), read_score(str(file))) for file in scores]
        parts.append(markdown_table(HEADER, format_rows(rows)))
    return "\n\n".join(parts) or "not recorded"
