"""The configuration of a training, completed and checked before anything is built."""

import os
from pathlib import Path

from funasr.download.download_model_from_hub import download_model
from omegaconf import DictConfig, OmegaConf

from funasr_sap.errors import ConfigError
from funasr_sap.models.directory import FILES


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
