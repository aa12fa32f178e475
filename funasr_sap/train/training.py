"""One training, from a resolved configuration to a model directory."""

import logging
import os
from pathlib import Path

import torch
from funasr import AutoModel
from funasr.register import tables
from funasr.train_utils.model_summary import model_summary
from funasr.train_utils.set_all_random_seed import set_all_random_seed

import funasr_sap  # noqa: F401  (registers the classes)
from funasr_sap.errors import ConfigError
from funasr_sap.models.directory import write_model_directory
from funasr_sap.train.scheduler import build_scheduler_conf
from funasr_sap.train.trainer import Trainer


def train(config: dict) -> None:
    """Train as configured; ``output_dir`` then is a model directory.

    Args:
        config: a resolved configuration.
    """
    set_all_random_seed(config.get("seed", 0))
    device = config.get("device") or ("cuda" if torch.cuda.is_available() else "cpu")
    built = AutoModel(
        **config | {"device": "cpu", "ncpu": config.get("ncpu", os.cpu_count()), "disable_update": True}
    )
    model, kwargs = built.model, built.kwargs
    output_dir = Path(config["output_dir"])
    write_model_directory(output_dir, config, source=config["model_path"])
    freeze_parameters(model, config.get("freeze_param"))
    logging.info("%s", model_summary(model))

    loader = tables.dataloader_classes["DataloaderMapStyle"](
        frontend=kwargs["frontend"],
        tokenizer=kwargs["tokenizer"],
        dataset=config.get("dataset", "SAP2Dataset"),
        **{key: config[key] for key in ("train_data_set_list", "valid_data_set_list", "dataset_conf")},
    )
    trainer = Trainer(device=device, output_dir=str(output_dir), **config.get("train_conf", {}))
    batches = len(list(loader.build_iter(0)[0].batch_sampler))
    steps = trainer.max_epoch * -(-batches // trainer.accum_grad)
    build_scheduler_conf(config, steps)
    model = trainer.warp_model(model, device=device)
    optim_keys = ("optim", "optim_conf", "scheduler", "scheduler_conf")
    model, optim, scheduler = trainer.warp_optim_scheduler(
        model, **{k: config[k] for k in optim_keys if k in config}
    )
    resume(trainer, model, optim, scheduler, steps)
    trainer.fit(model, optim, scheduler, loader)
    trainer.close()


def freeze_parameters(model, names: str | list[str] | None) -> None:
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


def resume(trainer: Trainer, model, optim, scheduler, steps: int) -> None:
    """Go on from the checkpoint in the output folder, if there is one.

    Raises:
        ConfigError: where its one-cycle schedule ends before the training does.
    """
    trainer.resume_checkpoint(model=model, optim=optim, scheduler=scheduler)
    planned = getattr(scheduler, "total_steps", steps)
    if trainer.batch_total and planned < steps:
        raise ConfigError(
            f"output_dir: {trainer.output_dir} holds a training of {planned} steps, this one has {steps}; "
            "give another output_dir, and go on with ++init_param=..."
        )
