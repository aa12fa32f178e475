"""One training, from a resolved configuration to a model directory."""

import logging
from pathlib import Path
from typing import cast

import torch
from funasr import AutoModel
from funasr.models.lora.utils import mark_only_lora_as_trainable
from funasr.train_utils.model_summary import model_summary
from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

import funasr_sap  # noqa: F401  (registers the classes)
from funasr_sap.data.processes import count_cpus
from funasr_sap.errors import ConfigError
from funasr_sap.models.averaging import average_checkpoints
from funasr_sap.models.directory import read_untrained_parts, write_model_directory
from funasr_sap.train import rng
from funasr_sap.train.checkpoints import LATEST
from funasr_sap.train.configuration import distribution_options
from funasr_sap.train.distributed import Process, find_process, joined
from funasr_sap.train.history import HIGHER_IS_BETTER
from funasr_sap.train.loader import Loader
from funasr_sap.train.record import write_record
from funasr_sap.train.scheduler import build_scheduler_conf
from funasr_sap.train.trainer import Trainer
from funasr_sap.train.validation import build_decoder

# The loss that teaches a part.
LOSS_WEIGHTS = {"ctc": "ctc_weight", "llm": "llm_weight", "span_head": "span_weight"}


def train(config: dict) -> None:
    """Train as configured; ``output_dir`` then is a model directory.

    Under ``torchrun``, each process calls this, and they share the training.

    Args:
        config: a resolved configuration.

    Raises:
        ConfigError: for a configuration that cannot be trained.
        DataError: for data that cannot be trained on, and for a loss that is not finite.
        OSError: where a checkpoint cannot be written.
    """
    set_backends(config)
    process = find_process(config.get("device"))
    options = distribution_options(config, process.world_size)
    with joined(process, options["use_deepspeed"], config.get("backend")):
        _train(config, process, options)


def _train(config: dict, process: Process, options: dict) -> None:
    seed = config.get("seed", 0)
    config = config | {"untrained_parts": untrained_parts(config)}
    rng.seed_all(seed)  # the same weights in all processes
    built = AutoModel(
        **config | {"device": "cpu", "ncpu": config.get("ncpu", count_cpus()), "disable_update": True}
    )
    model, kwargs = built.model, built.kwargs
    choose_trainable(model, config)
    if process.rank == 0:
        write_model_directory(Path(config["output_dir"]), config, source=config["model_path"])
        write_record(Path(config["output_dir"]), config)
        logging.info("%s", model_summary(model))

    train_conf = dict(config.get("train_conf", {})) | options
    dataset_conf = {"seed": seed} | dict(config["dataset_conf"])
    loader = Loader(
        label=f"epoch {{epoch}}/{train_conf.get('max_epoch', 100)}" if process.rank == 0 else None,
        frontend=kwargs["frontend"],
        tokenizer=kwargs["tokenizer"],
        dataset=config.get("dataset", "SAP2Dataset"),
        dataset_conf=dataset_conf,
        **{key: config[key] for key in ("train_data_set_list", "valid_data_set_list")},
    )
    trainer = Trainer(process, config["output_dir"], dataset_conf.get("max_bad", 0), **train_conf)
    steps = trainer.max_epoch * -(-len(loader.build_iter(0)[0]) // trainer.accum_grad)
    build_scheduler_conf(config, steps)
    trainer.use_decoder(build_decoder(config.get("validation_conf"), loader, model))
    model = trainer.warp_model(model)
    optim_keys = ("optim", "optim_conf", "scheduler", "scheduler_conf")
    # FunASR finds the classes by their names: to type checkers, they might be anything.
    model, optim, scheduler = cast(
        tuple[nn.Module, Optimizer, LRScheduler],
        trainer.warp_optim_scheduler(model, **{k: config[k] for k in optim_keys if k in config}),
    )
    scaler = GradScaler(torch.device(process.device).type) if trainer.use_fp16 else None
    rng.seed_all(seed, process.rank)  # its own noise in each process
    resume(trainer, model, optim, scheduler, steps, scaler)
    trainer.fit(model, optim, scheduler, loader, scaler)
    trainer.close()
    if process.rank == 0 and "avg_nbest_model" in train_conf and not options["use_deepspeed"]:
        average_best(trainer, train_conf["avg_nbest_model"])


def untrained_parts(config: dict) -> list[str]:
    """Tell which parts hold nothing that was learned once the training has begun.

    Args:
        config: a resolved configuration; its ``init_param`` may lie in another model directory.
    """
    source = Path(config.get("init_param") or config["model_path"])
    folder = source if source.is_dir() else source.parent
    if not (folder / "config.yaml").is_file():
        folder = Path(config["model_path"])
    learns = {part for part, key in LOSS_WEIGHTS.items() if (config.get("model_conf") or {}).get(key, 0) > 0}
    return [part for part in read_untrained_parts(folder) if part not in learns]


def set_backends(config: dict) -> None:
    """Set cuDNN and TF32 as FunASR's keys ask for; torch's defaults stay where there are none."""
    for name in ("enabled", "benchmark", "deterministic"):
        if f"cudnn_{name}" in config:
            setattr(torch.backends.cudnn, name, config[f"cudnn_{name}"])
    if "enable_tf32" in config:
        torch.backends.cuda.matmul.allow_tf32 = config["enable_tf32"]


def choose_trainable(model: nn.Module, config: dict) -> None:
    """Take parameters out of training as FunASR's ``freeze_param`` and ``lora_only`` ask for.

    Raises:
        ConfigError: for a name that the model does not have, and where nothing is left to train.
    """
    freeze_parameters(model, config.get("freeze_param"))
    if config.get("lora_only"):
        mark_only_lora_as_trainable(model, config.get("lora_bias", "none"))
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError("nothing is left to train; see the freeze flags, freeze_param and lora_only")


def freeze_parameters(model: nn.Module, names: str | list[str] | None) -> None:
    """Take parameters out of training, as FunASR's ``freeze_param`` does: by name, or by a part's name.

    Raises:
        ConfigError: for a name that the model does not have.
    """
    names = names.split(",") if isinstance(names, str) else names or []
    for wanted in names:
        found = [p for name, p in model.named_parameters() if f"{name}.".startswith(f"{wanted}.")]
        if not found:
            raise ConfigError(f"freeze_param: the model has no parameter or part {wanted!r}")
        for parameter in found:
            parameter.requires_grad_(False)


def average_best(trainer: Trainer, number: int) -> None:
    """Write ``model.pt.avgN``, the mean of the best checkpoints that are there, as FunASR does at the end.

    Args:
        trainer: when it is done.
        number: how many, if as many are kept.
    """
    reverse = trainer.avg_keep_nbest_models_type in HIGHER_IS_BETTER
    best = sorted(trainer.saved_ckpts, key=lambda name: trainer.saved_ckpts[name], reverse=reverse)[:number]
    folder = trainer.checkpoints.folder
    if best:
        average_checkpoints([folder / name for name in best], folder / f"{LATEST}.avg{number}")
        logging.info("%s: the mean of %s", folder / f"{LATEST}.avg{number}", ", ".join(best))


def resume(
    trainer: Trainer,
    model: nn.Module,
    optim: Optimizer,
    scheduler: LRScheduler,
    steps: int,
    scaler: GradScaler | None = None,
) -> None:
    """Go on from the checkpoint in the output folder, if there is one.

    Raises:
        ConfigError: where its one-cycle schedule ends before the training does.
    """
    trainer.resume_checkpoint(model=model, optim=optim, scheduler=scheduler, scaler=scaler)
    planned = getattr(scheduler, "total_steps", steps)
    if trainer.batch_total and planned < steps:
        raise ConfigError(
            f"output_dir: {trainer.output_dir} holds a training of {planned} steps, this one has {steps}; "
            "give another output_dir, and go on with ++init_param=..."
        )
