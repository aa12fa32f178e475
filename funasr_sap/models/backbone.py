"""A model directory for SAP² on a published backbone: its shapes, its tokenizer, and the new parts."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import yaml
from omegaconf import OmegaConf
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig

from funasr_sap.configurations import as_dict
from funasr_sap.data.files import atomic_write
from funasr_sap.errors import ConfigError
from funasr_sap.models.directory import write_model_directory, write_tokenizer
from funasr_sap.models.published import Published, find_published

if TYPE_CHECKING:
    from funasr_sap.models.sap2 import SAP2

# What a configuration of transformers says beside the shape of its model.
NOT_SHAPE = {"model_type", "transformers_version", "dtype", "architectures", "_name_or_path", "use_cache"}
WHISPER_FIELDS = ("d_model", "num_mel_bins", "max_source_positions", "activation_function", "scale_embedding")
LFR_FRONTEND = {
    "frontend": "WavFrontend",
    "frontend_conf": {
        **{"fs": 16000, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10},
        **{"lfr_m": 7, "lfr_n": 6, "dither": 0.0},
    },
}


def describe(published: Published) -> dict:
    """Write what published weights are as sections of a configuration.

    Args:
        published: a directory; of a file nothing is known but its weights.

    Returns:
        Names and ``*_conf`` of the parts that are there, and the frontend that they were trained with.
    """
    readers = {
        "qwen2_audio": _describe_qwen2_audio,
        "fun_asr_nano": _describe_fun_asr_nano,
        "FunASRNano": _describe_funasr,
        "whisper": _describe_whisper,
        "causal_lm": lambda path: _llm(AutoConfig.from_pretrained(path)),
        "sap2": lambda path: yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8")),
    }
    return readers[published.format](published.path) if published.path.is_dir() else {}


def _describe_qwen2_audio(path: Path) -> dict:
    config = AutoConfig.from_pretrained(path)
    encoder = _shape(config.audio_config)
    return {
        "audio_encoder": "Qwen2AudioEncoder",
        "audio_encoder_conf": encoder,
        "audio_adaptor": "LinearProjection",
        "audio_adaptor_conf": {},
        **_llm(config.text_config),
        **_whisper_frontend(config.audio_config),
    }


def _describe_fun_asr_nano(path: Path) -> dict:
    config = AutoConfig.from_pretrained(path)
    return {
        "audio_encoder": "FunAsrNanoEncoder",
        "audio_encoder_conf": _shape(config.audio_config),
        "audio_adaptor": "FunAsrNanoProjector",
        "audio_adaptor_conf": _shape(config.adaptor_config),
        **_llm(config.text_config),
        **LFR_FRONTEND,
    }


def _describe_funasr(path: Path) -> dict:
    from funasr.models.llm_asr.adaptor import Transformer
    from funasr.register import tables

    from funasr_sap.models.builder import KEYWORDS_READ

    config = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
    encoder = tables.encoder_classes[config["audio_encoder"]]
    adaptor = vars(tables)["adaptor_classes"][
        config["audio_adaptor"]
    ]  # FunASR makes this table as it registers
    adaptor_keys = {*inspect.signature(adaptor).parameters, "use_low_frame_rate"}
    if adaptor is Transformer:
        adaptor_keys |= set(KEYWORDS_READ["funasr.models.llm_asr.adaptor.Transformer"])
    return {
        "audio_encoder": config["audio_encoder"],
        "audio_encoder_conf": _only(config["audio_encoder_conf"], inspect.signature(encoder).parameters),
        "audio_adaptor": config["audio_adaptor"],
        "audio_adaptor_conf": _only(config["audio_adaptor_conf"], adaptor_keys),
        **_llm(AutoConfig.from_pretrained(path / config["llm_conf"]["init_param_path"])),
        "frontend": config.get("frontend", LFR_FRONTEND["frontend"]),
        "frontend_conf": {**LFR_FRONTEND["frontend_conf"], **config.get("frontend_conf", {}), "dither": 0.0},
    }


def _describe_whisper(path: Path) -> dict:
    config = AutoConfig.from_pretrained(path)
    fields = {key: value for key, value in config.to_dict().items() if key in WHISPER_FIELDS}
    fields |= {key: value for key, value in config.to_dict().items() if key.startswith("encoder_")}
    return {
        "audio_encoder": "WhisperEncoder",
        "audio_encoder_conf": fields,
        **_whisper_frontend(config),
    }


def _whisper_frontend(config: PretrainedConfig) -> dict:
    seconds = config.max_source_positions // 50  # positions of 20 ms
    conf = {"n_mels": config.num_mel_bins, "chunk_length": seconds}
    return {"frontend": "WhisperMel", "frontend_conf": {"fs": 16000, **conf}}


def _llm(config: PretrainedConfig) -> dict:
    return {"llm": config.model_type, "llm_conf": {**_shape(config), "vocab_size": config.vocab_size}}


def _shape(config: PretrainedConfig) -> dict:
    """List the fields that differ from the architecture's own."""
    return {key: value for key, value in config.to_diff_dict().items() if key not in NOT_SHAPE}


def _only(conf: Mapping, known) -> dict:
    return {key: value for key, value in conf.items() if key in known}


def merge_description(config: dict, described: Mapping, parts: tuple[str, ...]) -> dict:
    """Replace a configuration's shapes by those of published weights, and keep how its parts are trained.

    Args:
        config: a configuration.
        described: from ``describe``.
        parts: the parts that the weights are for; the frontend comes with the audio encoder.
    """
    merged = dict(config)
    for part in parts:
        if part in described:
            merged[part] = described[part]
            merged[f"{part}_conf"] = {**described[f"{part}_conf"], **_training_options(config, part)}
    if "audio_encoder" in parts and "frontend" in described:
        merged |= {key: described[key] for key in ("frontend", "frontend_conf")}
    return merged


def change_config(config: Mapping, changes: Mapping) -> dict:
    """Change keys of a configuration.

    A part that becomes one of another class leaves the arguments of the old class behind, and is trained as
    before.

    Args:
        config: a configuration.
        changes: keys, and keys of sections, that count instead.
    """
    from funasr_sap.models.construction import BACKBONE_PARTS

    changed = dict(config)
    for part in BACKBONE_PARTS:
        if changes.get(part, config.get(part)) != config.get(part):
            changed[f"{part}_conf"] = _training_options(config, part)
    return as_dict(OmegaConf.merge(changed, changes), resolve=False)


def _training_options(config: Mapping, part: str) -> dict:
    """Take out of a part's section what any part can be told, see ``PartOptions``."""
    from funasr_sap.models.parts import split_options

    section = config.get(f"{part}_conf") or {}
    _, arguments = split_options(f"{part}_conf", section)
    return {key: value for key, value in section.items() if key not in arguments}


def stand_on(
    config: Mapping, backbone: str | None, hub: str, parts: Mapping[str, str]
) -> tuple[dict, list[Path]]:
    """Write into a configuration which published weights it stands on, and their shapes.

    Args:
        config: a configuration.
        backbone, hub, parts: see ``import_backbone``.

    Returns:
        The configuration, and folders in which the LLM's tokenizer may be.
    """
    from funasr_sap.models.construction import BACKBONE_PARTS

    config, folders = dict(config), []
    for part, place in parts.items():
        published = find_published(place, hub)
        config = merge_description(config, describe(published), (part,))
        config[f"{part}_conf"]["init_param_path"] = _lasting(place)
        folders += _tokenizer_folders(published) if part == "llm" else []
    if backbone:
        published = find_published(backbone, hub)
        others = tuple(part for part in BACKBONE_PARTS if part not in parts)
        config = merge_description(config, describe(published), others)
        config |= {"backbone": _lasting(backbone), "hub": hub}
        folders += _tokenizer_folders(published)
    return config, folders


def adapt_config(config: Mapping, published: Published) -> dict:
    """Write into a configuration what adapters of the release of SAP² were trained with.

    It pooled by the plain mean, see ``SpeechDrivenPooling``, in Qwen2-Audio's chat.
    """
    adapted = dict(config)
    for part, lora_conf in adapter_sections(published).items():
        adapted[f"{part}_conf"] = {**config[f"{part}_conf"], "lora_conf": lora_conf}
    adapted["context_pooling_conf"] = {**config.get("context_pooling_conf", {}), "mode": "mean"}
    adapted["prompt_conf"] = {**config.get("prompt_conf", {}), "style": "sap2_asr"}
    return adapted


def adapter_sections(published: Published) -> dict:
    """Write the ``lora_conf`` of each part that a directory of adapters has adapters for."""
    config = json.loads((published.path / "adapter_config.json").read_text(encoding="utf-8"))
    layers = {}
    for name, _ in published.tensors():
        ours = published.rename(name) or name
        layers.setdefault(ours.partition(".")[0], set()).add(ours.split(".lora_")[0].rpartition(".")[2])
    common = {key: config[key] for key in ("r", "lora_alpha", "lora_dropout", "use_rslora") if key in config}
    return {part: {**common, "target_modules": sorted(names)} for part, names in layers.items()}


def import_backbone(
    config: dict,
    output_dir: str | os.PathLike,
    backbone: str | None = None,
    hub: str = "ms",
    parts: Mapping[str, str] | None = None,
    adapters: str | None = None,
    tokenizer: str | None = None,
) -> SAP2:
    """Make a model directory that stands on published weights, which stay where they are.

    Args:
        config: the configuration, for example of ``conf/sap2_qwen2_audio.yaml``.
        output_dir: the directory to write: configuration, tokenizer, and ``model.pt`` with the new parts.
        backbone: published weights of encoder, adaptor and LLM: a path, or a name at ``hub``.
        hub: "ms" or "hf".
        parts: by part, published weights for this part only.
        adapters: a directory of LoRA adapters, as ms-swift saves them.
        tokenizer: a directory with the LLM's tokenizer; None looks into those of the weights.

    Returns:
        The model.

    Raises:
        ConfigError: for weights that do not fit, and where no tokenizer is found.
    """
    from funasr_sap.models.construction import load_adapters
    from funasr_sap.models.directory import build_model

    config, folders = stand_on(config, backbone, hub, parts or {})
    folders = [tokenizer, *folders] if tokenizer else folders
    found = [folder for folder in folders if Path(folder, "tokenizer_config.json").is_file()]
    if not found:
        raise ConfigError(f"no tokenizer in {', '.join(map(str, folders)) or 'the weights'}; give its folder")
    published = find_published(adapters, hub) if adapters else None
    if published is not None:
        config = adapt_config(config, published)
    write_tokenizer(output_dir, AutoTokenizer.from_pretrained(found[0]))
    write_model_directory(output_dir, config)
    model = build_model(output_dir)
    if published is not None:
        tensors = {published.rename(name) or name: value for name, value in published.tensors()}
        load_adapters(model, tensors, ignore=False)
    own = {name: value for name, value in model.state_dict().items() if name not in model.from_backbone}
    with atomic_write(Path(output_dir) / "model.pt", "wb") as stream:
        torch.save(own, stream)
    return model


def _lasting(place: str) -> str:
    """Write a path so that it is found from any folder; a hub's name stays."""
    return os.path.abspath(place) if os.path.exists(place) else str(place)


def _tokenizer_folders(published: Published) -> list[Path]:
    """List where a publisher keeps the tokenizer: beside the weights, or in the LLM's own folder."""
    if not published.path.is_dir():
        return []
    return [published.path, *sorted(place for place in published.path.iterdir() if place.is_dir())]
