"""A model directory as FunASR's AutoModel takes it: configuration, weights, tokenizer, statistics.

config.yaml          the configuration, with relative names only
configuration.json   which files of the directory go where in the configuration
model.pt             the weights
tokenizer/           the tokenizer, in transformers' format
am.mvn               mean and variance of the features, in Kaldi's format
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from funasr_sap.data.files import atomic_write, copy_file, copy_folder
from funasr_sap.errors import ConfigError
from funasr_sap.models.seed_keys import translate
from funasr_sap.registration import EMBEDDED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from funasr_sap.audio.frontend import Frontend
    from funasr_sap.models.sap2 import SAP2

FILES = {
    "init_param": "model.pt",
    "config": "config.yaml",
    "tokenizer_conf": {"init_param_path": "tokenizer"},
    "frontend_conf": {"cmvn_file": "am.mvn"},
}
# Sections of a resolved configuration that describe the model; the rest is how it was trained.
MODEL_KEYS = (
    "model",
    "model_conf",
    "frontend",
    "frontend_conf",
    "tokenizer",
    "tokenizer_conf",
    "audio_encoder",
    "audio_encoder_conf",
    "audio_adaptor",
    "audio_adaptor_conf",
    "llm",
    "llm_conf",
    "ctc",
    "ctc_conf",
    "context_pooling_conf",
    "span_head",
    "span_head_conf",
    "backbone",
    "hub",
    "ignore_init_mismatch",
    "max_seconds",
    "merge_length_s",
    "retrieval_conf",
    "guard_conf",
    "repair_conf",
    "rescoring_conf",
    "prompt_conf",
    "specaug",
    "specaug_conf",
    "task_weights",
    "untrained_parts",
)
WEIGHTS = {"funasr": "model.pt", "hf": "model.safetensors"}
NO_CTC = "ctc"  # null is a value here: no CTC head
PART_SECTIONS = (
    "audio_encoder_conf",
    "audio_adaptor_conf",
    "llm_conf",
    "ctc_conf",
    "context_pooling_conf",
    "span_head_conf",
)


def find_weights(model: str | Path) -> Path:
    """Find the weights of a model by its directory, or the name of an embedded one.

    Raises:
        ConfigError: where there are none.
    """
    folder = Path(EMBEDDED.get(str(model), model))
    for name in WEIGHTS.values():
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"no weights in {folder}; expected {' or '.join(WEIGHTS.values())}")


def write_model_directory(
    path: str | os.PathLike, config: dict, source: str | os.PathLike | None = None
) -> None:
    """Write everything but the weights.

    Args:
        path: the directory, made where it is missing.
        config: a resolved configuration; only what describes the model is written.
        source: a model directory whose tokenizer and statistics are copied, when it is another one.
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    if source is not None and Path(source).resolve() != path.resolve():
        copy_folder(Path(source) / "tokenizer", path / "tokenizer")
        if (Path(source) / "am.mvn").is_file():  # only some frontends have statistics
            copy_file(Path(source) / "am.mvn", path / "am.mvn")
    files = dict(FILES)
    if not (path / "am.mvn").is_file():
        del files["frontend_conf"]
    with atomic_write(path / "config.yaml") as stream:
        yaml.safe_dump(model_config(config), stream, sort_keys=False, allow_unicode=True)
    with atomic_write(path / "configuration.json") as stream:
        json.dump(
            {"framework": "pytorch", "task": "auto-speech-recognition", "file_path_metas": files},
            stream,
            indent=2,
        )
        stream.write("\n")


def write_tokenizer(path: str | os.PathLike, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write the tokenizer of a model directory."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        copy_folder(folder, Path(path) / "tokenizer")


def model_config(config: dict) -> dict:
    """Keep what describes the model, without paths (``configuration.json`` has those).

    Freeze flags go too, unless the model stands on a backbone: then they say what its checkpoints leave out.
    """
    config = translate(config)
    kept = {key: config[key] for key in MODEL_KEYS if config.get(key) is not None}
    if NO_CTC in config:
        kept[NO_CTC] = config[NO_CTC]
    sections = {key: dict(values) for key, values in kept.items() if isinstance(values, Mapping)}
    if not stands_on_backbone(config):
        for values in sections.values():
            values.pop("freeze", None)
    for section, files in FILES.items():
        if isinstance(files, dict):
            sections[section] = {k: v for k, v in sections.get(section, {}).items() if k not in files}
    return kept | sections


def stands_on_backbone(config: Mapping) -> bool:
    """Tell whether some of a model's weights are published ones that stay where they are."""
    paths = [
        values.get("init_param_path") for key, values in config.items() if key in PART_SECTIONS and values
    ]
    return bool(config.get("backbone") or any(paths))


def read_model_config(path: str | os.PathLike) -> dict:
    """Read the ``config.yaml`` of a model directory.

    Raises:
        ConfigError: where there is none.
    """
    file = Path(path) / "config.yaml"
    if not file.is_file():
        raise ConfigError(f"{path} holds no config.yaml; expected a model directory")
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def read_untrained_parts(path: str | os.PathLike) -> list[str]:
    """Tell which parts of a model directory have learned nothing; older ones tell by a loss weight."""
    config = read_model_config(path)
    if config.get("untrained_parts") is not None:
        return list(config["untrained_parts"])
    return untrained_by_weight((config.get("model_conf") or {}).get("llm_weight", 1.0))


def untrained_by_weight(llm_weight: float) -> list[str]:
    """Tell it of a configuration that says nothing else."""
    return [] if llm_weight else ["llm"]


def build_frontend(path: str | os.PathLike) -> Frontend:
    """Build the FunASR frontend of a model directory, with its statistics."""
    from funasr.register import tables

    config, statistics = read_model_config(path), Path(path) / "am.mvn"
    conf = dict(config.get("frontend_conf", {}))
    if statistics.is_file():  # only some frontends have them
        conf["cmvn_file"] = str(statistics)
    return tables.frontend_classes[config["frontend"]](**conf)


def build_model(path: str | os.PathLike, checkpoint: str = "model.pt", **changes) -> SAP2:
    """Build the ``SAP2`` of a model directory, without FunASR's AutoModel.

    Args:
        path: the directory.
        checkpoint: the file of its weights; where it is missing, the new parts stay random.
        **changes: top-level keys of the configuration that count instead of the directory's.

    Raises:
        ConfigError: for weights that do not fit.
    """
    from transformers import AutoTokenizer

    from funasr_sap.models.checkpoint import load_fitting
    from funasr_sap.models.published import read_checkpoint
    from funasr_sap.models.sap2 import SAP2

    config = read_model_config(path) | changes
    tokenizer = AutoTokenizer.from_pretrained(Path(path) / "tokenizer")
    frontend = build_frontend(path)
    arguments = config.pop("model_conf", {}) | config
    file = Path(path) / checkpoint
    if not file.is_file() and file.with_suffix(".safetensors").is_file():
        file = file.with_suffix(".safetensors")
    for key in ("model", "frontend", "frontend_conf", "tokenizer_conf"):
        arguments.pop(key, None)
    model = SAP2(
        **arguments
        | {"tokenizer": tokenizer, "input_size": frontend.output_size(), "vocab_size": len(tokenizer)}
        | {"init_param": str(file) if file.is_file() else None}
    )
    if file.is_file():
        load_fitting(model, read_checkpoint(file))
    return model.eval()


def export(
    model_dir: Path, output_dir: Path, checkpoint: str = "model.pt", half: bool = True, format: str = "funasr"
) -> tuple[int, int]:
    """Write a model that stands alone, with a model card, and without what only training needs.

    Args:
        model_dir: a model directory, as training leaves it.
        output_dir: the directory to write.
        checkpoint: the file of weights in ``model_dir``.
        half: store the weights in fp16.
        format: "funasr" (config.yaml and model.pt), or "hf" (config.json and model.safetensors).

    Returns:
        The number of weights, and their size in bytes.
    """
    from funasr_sap.models.standalone import read_standalone, write_standalone

    state, config, tokenizer = read_standalone(model_dir, checkpoint)
    if half:
        state = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    write_standalone(output_dir, state, config, source=model_dir, tokenizer=tokenizer, format=format)
    file = Path(output_dir) / WEIGHTS[format]
    return sum(value.numel() for value in state.values()), file.stat().st_size
