"""What a model was trained on, in its own directory: ``training.yaml``, which its model card quotes."""

import datetime
from pathlib import Path

import yaml

from funasr_sap.data.files import atomic_write
from funasr_sap.models.directory import PART_SECTIONS

RECORD = "training.yaml"
# What of a resolved configuration tells how a model came to be; the rest is what it is.
KEYS = (
    *("model_path", "backbone", "init_param", "train_data_set_list", "valid_data_set_list", "dataset_conf"),
    *("optim", "optim_conf", "scheduler", "scheduler_conf", "train_conf", "model_conf", "task_weights"),
    *("freeze_param", "seed"),
)
FLAGS = ("freeze", "lora_conf", "dtype", "gradient_checkpointing")


def write_record(folder: Path, config: dict) -> None:
    """Write what a training is about to do.

    Args:
        folder: the model directory that it writes.
        config: its resolved configuration.
    """
    record = {"date": datetime.date.today().isoformat()}
    record |= {key: config[key] for key in KEYS if config.get(key) is not None}
    for part in PART_SECTIONS:
        flags = {name: value for name, value in (config.get(part) or {}).items() if name in FLAGS}
        record |= {part: flags} if flags else {}
    with atomic_write(Path(folder) / RECORD) as stream:
        yaml.safe_dump(record, stream, sort_keys=False, allow_unicode=True)


def read_metric(folder: Path) -> str:
    """Tell what the best checkpoint of a recorded training is chosen by; FunASR's default is acc."""
    file = Path(folder) / RECORD
    record = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return record.get("train_conf", {}).get("avg_keep_nbest_models_type", "acc")


def read_record(folder: Path) -> str:
    """Read a record for others: of paths the last name only; the rest says more of a disk than of data."""
    file = Path(folder) / RECORD
    if not file.is_file():
        return "not recorded\n"
    record = yaml.safe_load(file.read_text(encoding="utf-8"))
    return yaml.safe_dump(_without_folders(record), sort_keys=False, allow_unicode=True)


def _without_folders(value):
    if isinstance(value, dict):
        return {key: _without_folders(each) for key, each in value.items()}
    return Path(value).name if isinstance(value, str) and "/" in value else value
