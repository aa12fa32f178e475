"""FunASR's own training program, ``funasr-train-ds``, for Paraformer and its relatives; also on a CPU.

    python -m funasr_sap.train.funasr_trainer ++model=paraformer-zh ++output_dir=exp/paraformer \\
        ++train_data_set_list=train.jsonl ++valid_data_set_list=val.jsonl ++freeze_param=encoder

Keys, training and checkpoints are FunASR's. Around it:

- It runs on a CPU where there is no GPU, or with ``++device=cpu``. FunASR's own program hands every batch to
  the GPU of number LOCAL_RANK, whatever ``device`` says; no key changes that.
- What FunASR passes over in silence is an error (lines without ``source`` or ``target``, a ``freeze_param``
  that names no part) or counted (utterances that are too long).
- A checkpoint that was cut off in the middle of writing does not stop a training from going on.
- At the end, ``output_dir/model`` is a model directory with the best weights, which needs no other folder.
"""

import json
import logging
import os
import pickle
from pathlib import Path

import hydra
import torch
from funasr.bin import train_ds
from omegaconf import DictConfig, OmegaConf

from funasr_sap.data.kaldi import iter_lines, parse_json
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.models.funasr_directory import write_funasr_directory
from funasr_sap.text.blank import is_blank, warn_of_blank
from funasr_sap.tool import run

REQUIRED = ("model", "train_data_set_list", "valid_data_set_list", "output_dir")
SETS = REQUIRED[1:3]
# FunASR's own limits, where dataset_conf does not say: 10 ms frames, tokens, and the sum of both.
LIMITS = {"max_source_length": 2048, "max_target_length": 2048, "max_token_length": 2200}
LATEST, BEST = "model.pt", "model.pt.best"

logger = logging.getLogger(__name__)


class CPUTrainer(train_ds.Trainer):
    """FunASR's Trainer on a CPU."""

    @property
    def device(self) -> str:
        """The CPU; the program sets the number of a GPU, which has no effect."""
        return "cpu"

    @device.setter
    def device(self, value: object) -> None:
        pass


def train(config: DictConfig) -> None:
    """Train by FunASR's program; ``output_dir/model`` then is a model directory.

    Raises:
        ConfigError: a missing key, or processes without GPUs.
        DataError: a JSONL file that FunASR cannot train on.
    """
    for key in REQUIRED:
        if not config.get(key):
            raise ConfigError(f"training needs ++{key}=...")
    main_process = os.environ.get("RANK", "0") == "0"
    if main_process:
        for key in SETS:
            check_lines(config[key], config.get("dataset_conf") or {})
        check_freeze(Path(config.model), config.get("freeze_param"))
        restore_latest(Path(config.output_dir))
    if not torch.cuda.is_available() or str(config.get("device", "cuda")).startswith("cpu"):
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ConfigError("several processes need a GPU each; on a CPU, FunASR's program is one process")
        OmegaConf.set_struct(config, False)
        config.device = "cpu"
        train_ds.Trainer = CPUTrainer
    train_ds.main_hydra.__wrapped__(config)
    if main_process:
        write_model(Path(config.output_dir))


def check_lines(path: str, dataset_conf: DictConfig | dict) -> None:
    """Look for lines that FunASR would leave out without a word.

    Raises:
        DataError: lines without audio or transcript, and sets of which nothing is left.
    """
    if not path.endswith(".jsonl"):
        return  # a list of JSONL files, FunASR's other form
    limits = {name: dataset_conf.get(name, limit) for name, limit in LIMITS.items()}
    problems: list[str] = []
    too_long, blank = [], []
    for number, line in iter_lines(path, problems):
        try:
            record = _check_record(parse_json(line))
            too_long.append(is_too_long(record, limits))
            if is_blank(record["target"]):
                blank.append(str(record.get("key", f"line {number}")))
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
    if problems:
        raise DataError.from_lines(f"cannot train on {path}", problems)
    if not too_long:
        raise DataError(f"{path} holds no utterance; expected a JSONL line for each")
    if len(blank) == len(too_long):
        raise DataError(f"{path}: all {len(blank)} transcripts are empty, there is nothing to train on")
    warn_of_blank(
        path, blank, "FunASR trains on them; `funasr-sap scp2jsonl ++keep_empty=false` leaves them out"
    )
    if all(too_long):
        raise DataError(f"{path}: all {len(too_long)} utterances are longer than {limits}, nothing is left")
    if any(too_long):
        logger.warning(
            "%s: left out %d of %d utterances, longer than %s", path, sum(too_long), len(too_long), limits
        )


def _check_record(record: object) -> dict:
    """Return the object of a line of FunASR's; ValueError where it is none."""
    if not isinstance(record, dict) or not all(isinstance(record.get(k), str) for k in ("source", "target")):
        raise ValueError(
            f"expected an object with source and target, got {json.dumps(record, ensure_ascii=False):.60}; "
            "funasr-sap convert --from jsonl --to funasr makes them from ChatML"
        )
    return record


def is_too_long(record: dict, limits: dict[str, int]) -> bool:
    """Tell whether FunASR leaves a line out for its length."""
    source, target = record.get("source_len", 1), record.get("target_len", 0)
    return (
        source > limits["max_source_length"]
        or target > limits["max_target_length"]
        or source + target > limits["max_token_length"]
    )


def check_freeze(model: Path, freeze_param: str | None) -> None:
    """Look for names of ``freeze_param`` that are none of the model's, which FunASR would not freeze.

    Raises:
        ConfigError: a name that is no part and no parameter. Models on a hub are not looked into.
    """
    if not freeze_param or not (model / LATEST).is_file():
        return
    state = torch.load(model / LATEST, map_location="cpu", mmap=True, weights_only=True)
    names = state.get("state_dict", state)
    for wanted in freeze_param.split(","):
        if not any(f"{name}.".startswith(f"{wanted}.") for name in names):
            parts = sorted({name.partition(".")[0] for name in names})
            raise ConfigError(f"freeze_param: the model has no part {wanted!r}; it has {', '.join(parts)}")


def restore_latest(folder: Path) -> None:
    """Put a broken ``model.pt`` aside; the newest whole checkpoint of an epoch takes its place.

    FunASR writes checkpoints in place, the epoch's first: a crash leaves one of the two whole.
    """
    latest = folder / LATEST
    if not latest.is_file() or is_whole(latest):
        return
    epochs = sorted(folder.glob(f"{LATEST}.ep*"), key=os.path.getmtime, reverse=True)
    whole = next((path for path in epochs if is_whole(path)), None)
    logger.warning("%s is broken; the training goes on from %s", latest, whole or "the beginning")
    latest.unlink()
    if whole:
        latest.hardlink_to(whole)


def is_whole(path: Path) -> bool:
    """Tell whether a checkpoint can be read."""
    try:
        torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        return False
    return True


def write_model(folder: Path) -> None:
    """Write ``folder/model``: the best weights of a training, and the files of the model it began with."""
    best = folder / BEST
    source = best if best.is_file() else folder / LATEST
    if not source.is_file():
        logger.warning("nothing was trained: %s holds no checkpoint; raise ++train_conf.max_epoch", folder)
        return
    state = torch.load(source, map_location="cpu", mmap=True, weights_only=True)["state_dict"]
    origin = OmegaConf.load(folder / "config.yaml").model_path
    write_funasr_directory(folder / "model", Path(origin), state)
    logger.info("%s: the weights of %s", folder / "model", source)


@hydra.main(config_name=None, version_base=None)
def main_hydra(config: DictConfig) -> None:
    """Run the command line."""
    logging.getLogger().setLevel(logging.INFO)
    train(config)


if __name__ == "__main__":
    run(main_hydra)
