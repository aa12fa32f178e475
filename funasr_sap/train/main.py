"""Train a model with FunASR's Trainer, on a CPU or a GPU; resumes from its last checkpoint.

    funasr-sap-train --config-path conf --config-name finetune ++model=sap2 \\
        ++train_data_set_list=train.jsonl ++valid_data_set_list=val.jsonl ++output_dir=exp/finetune

The keys are those of FunASR's ``funasr-train-ds``. The output folder is a model directory that
``AutoModel(model=...)`` loads.
"""

import logging
import os
import sys
from pathlib import Path

import hydra
import torch
from funasr import AutoModel
from funasr.download.download_model_from_hub import download_model
from funasr.register import tables
from funasr.train_utils.model_summary import model_summary
from funasr.train_utils.set_all_random_seed import set_all_random_seed
from funasr.train_utils.trainer_ds import Trainer
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

import funasr_sap  # noqa: F401  (registers the classes)
from funasr_sap.errors import ConfigError
from funasr_sap.models.directory import FILES, write_model_directory
from funasr_sap.tool import run


class DeviceTrainer(Trainer):
    """FunASR's Trainer, with mixed precision (``use_bf16``) on any device; FunASR's is for CUDA only."""

    def forward_step(self, model, batch, loss_dict):
        """Compute the loss of a batch into ``loss_dict``."""
        mixed = self.dtype != torch.float32
        with torch.autocast(torch.device(self.device).type, self.dtype if mixed else None, enabled=mixed):
            super().forward_step(model, batch, loss_dict=loss_dict)


class ProgressLoader:
    """A dataloader that shows its progress."""

    def __init__(self, loader, label: str):
        self.loader, self.label = loader, label
        self.batch_sampler = loader.batch_sampler

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        return iter(tqdm(self.loader, desc=self.label, disable=None, mininterval=5))


def resolve(config: DictConfig) -> dict:
    """Complete a configuration: the model's own, and the paths of its directory.

    Raises:
        ConfigError: where a required key is missing or a file is not there.
    """
    config = OmegaConf.to_container(config, resolve=True)
    for key in ("model", "train_data_set_list", "valid_data_set_list", "output_dir"):
        if not config.get(key):
            raise ConfigError(f"training needs ++{key}=...")
    for key in ("train_data_set_list", "valid_data_set_list", "init_param"):
        if config.get(key) and not os.path.isfile(config[key]):
            raise ConfigError(f"{key}: no such file: {config[key]}")
    directory = config.pop("model_directory", None)
    if directory is None:
        config = dict(download_model(is_training=True, **config))
        if not config.get("init_param"):
            raise ConfigError(f"model: {config['model_path']} holds no weights (model.pt) to go on from")
        return config
    for section, file in FILES.items():
        if isinstance(file, dict):
            config.setdefault(section, {}).update(
                {key: str(Path(directory, name)) for key, name in file.items()}
            )
    return config | {"model_path": directory}


def build_scheduler_conf(config: dict, steps: int) -> None:
    """Tell the one-cycle schedule how long the training is, where the configuration leaves it open."""
    if config.get("scheduler") == "onecyclelr":
        rate = config.get("optim_conf", {}).get("lr")
        conf = {"total_steps": max(2, steps), "max_lr": rate} | config.get("scheduler_conf", {})
        # A warm-up of exactly one step would be a division by zero in torch.
        conf["pct_start"] = max(conf.get("pct_start", 0.3), 1.5 / conf["total_steps"])
        if conf["max_lr"] is None:
            raise ConfigError("scheduler onecyclelr needs ++optim_conf.lr=...")
        config["scheduler_conf"] = conf


def freeze_parameters(model, names: str | list[str] | None) -> None:
    """Take parameters out of training, as FunASR's ``freeze_param`` does: by name, or by a part's name."""
    names = names.split(",") if isinstance(names, str) else names or []
    for wanted in names:
        found = [p for name, p in model.named_parameters() if f"{name}.".startswith(f"{wanted}.")]
        if not found:
            raise ConfigError(f"freeze_param: the model has no parameter or part {wanted!r}")
        for parameter in found:
            parameter.requires_grad_(False)


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
    trainer = DeviceTrainer(device=device, output_dir=str(output_dir), **config.get("train_conf", {}))
    batches = len(list(loader.build_iter(0)[0].batch_sampler))
    steps = trainer.max_epoch * -(-batches // trainer.accum_grad)
    build_scheduler_conf(config, steps)
    model = trainer.warp_model(model, device=device)
    optim_keys = ("optim", "optim_conf", "scheduler", "scheduler_conf")
    model, optim, scheduler = trainer.warp_optim_scheduler(
        model, **{k: config[k] for k in optim_keys if k in config}
    )
    resume(trainer, model, optim, scheduler, steps)
    for epoch in range(trainer.start_epoch, trainer.max_epoch):
        train_epoch(trainer, loader, model, optim, scheduler, epoch)
    trainer.close()


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


def train_epoch(trainer: Trainer, loader, model, optim, scheduler, epoch: int) -> None:
    """Train one epoch, validate, save."""
    loader_train, loader_val = loader.build_iter(epoch, start_step=trainer.start_step)
    trainer.train_epoch(
        model=model,
        optim=optim,
        scheduler=scheduler,
        dataloader_train=ProgressLoader(loader_train, f"epoch {epoch + 1}/{trainer.max_epoch}"),
        dataloader_val=loader_val,
        epoch=epoch,
        start_step=trainer.start_step,
    )
    trainer.start_step = 0
    trainer.validate_epoch(model=model, dataloader_val=loader_val, epoch=epoch + 1)
    logging.info(
        "epoch %d: validation loss %.4f, accuracy %.4f", epoch + 1, trainer.val_loss_avg, trainer.val_acc_avg
    )
    trainer.step_in_epoch = 0
    trainer.save_checkpoint(epoch + 1, model=model, optim=optim, scheduler=scheduler)
    trainer.train_acc_avg = trainer.train_loss_avg = 0.0


@hydra.main(config_name=None, version_base=None)
def main_hydra(config: DictConfig) -> None:
    """Run the command line."""
    logging.getLogger().setLevel(logging.INFO)
    train(resolve(config))


def main() -> None:
    """Run the command line; errors are one sentence."""
    if "--config-path" in sys.argv[:-1]:  # Hydra would look beside this file
        place = sys.argv.index("--config-path") + 1
        sys.argv[place] = os.path.abspath(sys.argv[place])
    run(main_hydra)


if __name__ == "__main__":
    main()
