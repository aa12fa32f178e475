"""The learning rate's schedule: as long as the training is."""

from funasr_sap.errors import ConfigError


def build_scheduler_conf(config: dict, steps: int) -> None:
    """Tell the one-cycle schedule how long the training is, where the configuration leaves it open.

    Args:
        config: a training's configuration; its ``scheduler_conf`` is completed.
        steps: updates of the whole training.

    Raises:
        ConfigError: where no highest learning rate is given.
    """
    if config.get("scheduler") == "onecyclelr":
        rate = config.get("optim_conf", {}).get("lr")
        conf = {"total_steps": max(2, steps), "max_lr": rate} | config.get("scheduler_conf", {})
        # A warm-up of exactly one step would be a division by zero in torch.
        conf["pct_start"] = max(conf.get("pct_start", 0.3), 1.5 / conf["total_steps"])
        if conf["max_lr"] is None:
            raise ConfigError("scheduler onecyclelr needs ++optim_conf.lr=...")
        config["scheduler_conf"] = conf
