"""The configuration of a training, completed and checked before anything is built."""

import importlib.util
import json
import os
from pathlib import Path

from funasr.download.download_model_from_hub import download_model
from omegaconf import DictConfig

from funasr_sap.configurations import FOLDER, as_dict, find_configuration
from funasr_sap.errors import ConfigError
from funasr_sap.model_names import find_model
from funasr_sap.models.builder import check_keys
from funasr_sap.models.directory import FILES
from funasr_sap.models.directory_check import check_weights

TRAIN_CONF_KEYS = frozenset(
    {
        # FunASR's Trainer
        *("max_epoch", "accum_grad", "grad_clip", "grad_clip_type", "use_fp16", "use_bf16", "log_interval"),
        *("validate_interval", "save_checkpoint_interval", "keep_nbest_models", "avg_nbest_model", "resume"),
        *("avg_keep_nbest_models_type", "excludes", "effective_save_name_excludes", "reset_gpu_cache"),
        *("use_ddp", "use_fsdp", "use_deepspeed", "deepspeed_config", "find_unused_parameters"),
        *("use_wandb", "wandb_token", "wandb_project", "wandb_team", "wandb_exp_name"),
        "early_stopping_patience",
        *("skip_nan", "early_stopping"),  # ours
    }
)


def resolve(given: DictConfig) -> dict:
    """Complete a configuration: the model's own, and the paths of its directory.

    Raises:
        ConfigError: where a required key is missing, a file is not there, or nobody knows the model; no hub
            is asked for it then.
    """
    config = as_dict(given)
    for key in ("model", "train_data_set_list", "valid_data_set_list", "output_dir"):
        if not config.get(key):
            raise ConfigError(f"training needs ++{key}=...")
    for key in ("train_data_set_list", "valid_data_set_list", "init_param"):
        if config.get(key) and not os.path.isfile(config[key]):
            raise ConfigError(f"{key}: no such file: {config[key]}")
    directory = config.pop("model_directory", None)
    if directory is None:
        config["model"] = find_model(
            "model", config["model"], {"hub": config.get("hub"), "init_param": config.get("init_param", "")}
        )
        config = dict(download_model(is_training=True, **config))
        if not config.get("init_param"):
            raise ConfigError(f"model: {config['model_path']} holds no weights (model.pt) to go on from")
        if config["model"] == "SAP2":
            check_weights(Path(config["init_param"]))
        return config
    for section, file in FILES.items():
        if isinstance(file, dict):
            config.setdefault(section, {}).update(
                {key: str(Path(directory, name)) for key, name in file.items()}
            )
    return config | {"model_path": directory}


def distribution_options(config: dict, processes: int = 1) -> dict:
    """Read how weights are shared out over processes, from the top or from ``train_conf``, as FunASR does.

    Args:
        config: a resolved configuration.
        processes: of the training.

    Returns:
        ``use_fsdp``, ``use_deepspeed`` and ``deepspeed_config``.

    Raises:
        ConfigError: for unknown keys of ``train_conf``, what does not go together, or is not there.
    """
    defaults = {"use_fsdp": False, "use_deepspeed": False, "deepspeed_config": ""}
    train_conf = config.get("train_conf", {})
    check_keys("train_conf", train_conf, TRAIN_CONF_KEYS)
    options = {key: config.get(key, train_conf.get(key, value)) for key, value in defaults.items()}
    if options["use_fsdp"] and options["use_deepspeed"]:
        raise ConfigError("train_conf: use_fsdp and use_deepspeed exclude each other; choose one")
    if options["use_fsdp"] and train_conf.get("use_fp16"):
        raise ConfigError(
            "train_conf: use_fsdp does not take use_fp16; set ++train_conf.use_bf16=true instead"
        )
    if options["use_deepspeed"]:
        file = check_deepspeed(options["deepspeed_config"], train_conf.get("accum_grad", 1), processes)
        options["deepspeed_config"] = file
    return options


def check_deepspeed(file: str, accum_grad: int, processes: int = 1) -> str:
    """Check DeepSpeed's configuration against the training's.

    Args:
        file: JSON, or one of the package's, such as "conf/deepspeed/zero2.json".
        accum_grad: batches an update.
        processes: of the training.

    Returns:
        The file's path.

    Raises:
        ConfigError: where DeepSpeed is not installed, or the file does not fit.
    """
    if importlib.util.find_spec("deepspeed") is None:
        raise ConfigError(
            "train_conf.use_deepspeed: DeepSpeed is not installed; install it with pip install deepspeed, or "
            "use ++train_conf.use_fsdp=true"
        )
    try:
        file = str(find_configuration(file))
    except ConfigError:
        ours = ", ".join(f"conf/deepspeed/{path.name}" for path in sorted(FOLDER.glob("deepspeed/*")))
        raise ConfigError(
            f"train_conf.deepspeed_config: no such file: {file!r}; expected one, or {ours} of this package"
        ) from None
    try:
        conf = json.loads(Path(file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"train_conf.deepspeed_config: {file} is not JSON: {error}") from None
    steps = conf.get("gradient_accumulation_steps", 1)
    if steps != accum_grad:
        raise ConfigError(
            f"{file}: gradient_accumulation_steps is {steps}, train_conf.accum_grad is {accum_grad}; "
            "expected the same number"
        )
    if processes > 1 and conf.get("zero_optimization", {}).get("stage") == 3:
        # It gathers weights when a part is called, and what a batch calls depends on its tasks and lists.
        raise ConfigError(
            f"{file}: ZeRO-3 in {processes} processes, which would wait for each other for ever where their "
            "batches use other parts of the model; set ++train_conf.use_fsdp=true instead, or take zero2.json"
        )
    return file
