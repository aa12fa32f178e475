"""A model directory as FunASR's AutoModel takes it: configuration, weights, tokenizer, statistics.

config.yaml          the configuration, with relative names only
configuration.json   which files of the directory go where in the configuration
model.pt             the weights
tokenizer/           the tokenizer, in transformers' format
am.mvn               mean and variance of the features, in Kaldi's format
"""

import json
import shutil
from pathlib import Path

import yaml

from funasr_sap.data.files import atomic_write

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
    "ctc_conf",
    "context_pooling_conf",
    "retrieval_conf",
    "boost_conf",
    "guard_conf",
    "prompt_conf",
    "specaug",
    "specaug_conf",
    "task_weights",
)


def write_model_directory(path: Path, config: dict, source: Path | None = None) -> None:
    """Write everything but the weights.

    Args:
        path: the directory, made where it is missing.
        config: a resolved configuration; only what describes the model is written.
        source: a model directory whose tokenizer and statistics are copied, when it is another one.
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    if source is not None and Path(source).resolve() != path.resolve():
        shutil.copytree(Path(source) / "tokenizer", path / "tokenizer", dirs_exist_ok=True)
        shutil.copyfile(Path(source) / "am.mvn", path / "am.mvn")
    with atomic_write(path / "config.yaml") as stream:
        yaml.safe_dump(model_config(config), stream, sort_keys=False, allow_unicode=True)
    with atomic_write(path / "configuration.json") as stream:
        json.dump(
            {"framework": "pytorch", "task": "auto-speech-recognition", "file_path_metas": FILES},
            stream,
            indent=2,
        )
        stream.write("\n")


def model_config(config: dict) -> dict:
    """Keep what describes the model, without freeze flags and paths (``configuration.json`` has those)."""
    kept = {key: config[key] for key in MODEL_KEYS if config.get(key) is not None}
    for section, values in kept.items():
        if isinstance(values, dict):
            kept[section] = {key: value for key, value in values.items() if key != "freeze"}
    for section, files in FILES.items():
        if isinstance(files, dict):
            kept[section] = {k: v for k, v in kept.get(section, {}).items() if k not in files}
    return kept


def export(
    model_dir: Path, output_dir: Path, checkpoint: str = "model.pt", half: bool = True
) -> tuple[int, int]:
    """Copy a model without what only training needs.

    Args:
        model_dir: a model directory, as training leaves it.
        output_dir: the directory to write.
        checkpoint: the file of weights in ``model_dir``.
        half: store the weights in fp16.

    Returns:
        The number of weights, and their size in bytes.
    """
    import torch

    state = torch.load(Path(model_dir) / checkpoint, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    weights = {
        name: value.half() if half and value.is_floating_point() else value for name, value in state.items()
    }
    config = yaml.safe_load((Path(model_dir) / "config.yaml").read_text(encoding="utf-8"))
    write_model_directory(output_dir, config, source=model_dir)
    with atomic_write(Path(output_dir) / "model.pt", "wb") as stream:
        torch.save(weights, stream)
    return sum(value.numel() for value in weights.values()), (Path(output_dir) / "model.pt").stat().st_size
