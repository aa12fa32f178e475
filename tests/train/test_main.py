import copy
import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from funasr_sap.configurations import FOLDER
from funasr_sap.errors import ConfigError
from funasr_sap.train import configuration
from funasr_sap.train.configuration import distribution_options
from funasr_sap.train.distributed import Process
from funasr_sap.train.main import _with_config_path
from funasr_sap.train.scheduler import build_scheduler_conf
from funasr_sap.train.trainer import Trainer
from funasr_sap.train.training import choose_trainable, freeze_parameters, set_backends, train

CONF = Path(__file__).parents[2] / "conf"


def read(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def test_two_epochs_give_a_model_directory(make_config, small_model, speech_wavs, tmp_path):
    train(make_config(audio_encoder_conf={"freeze": True}))
    exp = tmp_path / "exp"
    last = read(exp / "model.pt")
    assert last["epoch"] == 2 and set(last["val_loss_step_or_epoch"]) == {"model.pt.ep1", "model.pt.ep2"}
    assert (exp / "model.pt.best").is_file() and (exp / "tokenizer").is_dir() and (exp / "am.mvn").is_file()
    # The encoder was frozen, the rest was trained.
    before = small_model.state_dict()
    changed = {
        name.split(".")[0] for name, value in last["state_dict"].items() if not value.equal(before[name])
    }
    assert changed == {"ctc", "audio_adaptor", "llm", "evidence"}
    written = (exp / "config.yaml").read_text(encoding="utf-8")
    assert "freeze" not in written and str(tmp_path) not in written

    from funasr_sap import AutoModel

    loaded = AutoModel(model=str(exp), device="cpu", ncpu=1)
    assert all(value.equal(last["state_dict"][name]) for name, value in loaded.model.state_dict().items())
    (result,) = loaded.generate(speech_wavs[7].source, hotwords=list(speech_wavs[0].keywords))
    assert result["key"] == speech_wavs[7].key and isinstance(result["text"], str)


# What finetune.sh of FunAudioLLM/Fun-ASR hands to funasr-train-ds, but for model, files, epochs and workers.
FUN_ASR_KEYS = {
    "trust_remote_code": True,
    "dataset_conf": {
        **{"data_split_num": 1, "batch_sampler": "BatchSampler", "batch_size": 6000, "sort_size": 1024},
        **{"batch_type": "token", "num_workers": 1},
    },
    "train_conf": {
        **{"log_interval": 1, "resume": True, "validate_interval": 2000, "save_checkpoint_interval": 2000},
        **{"effective_save_name_excludes": "None", "keep_nbest_models": 20, "avg_nbest_model": 10},
        **{"use_deepspeed": False, "deepspeed_config": "deepspeed_conf/ds_stage1.json"},
    },
    "optim_conf": {"lr": 0.0002},
    "audio_encoder_conf": {"freeze": True},
    "audio_adaptor_conf": {"freeze": True},
    "llm_conf": {"freeze": False},
}


def test_the_keys_of_fun_asrs_script(small_model_dir, speech_dir, tmp_path):
    config = {f"{kind}_data_set_list": f"{speech_dir}/data.jsonl" for kind in ("train", "valid")}
    config |= {"model": str(small_model_dir), "output_dir": str(tmp_path / "exp")} | FUN_ASR_KEYS
    config["train_conf"] = config["train_conf"] | {"max_epoch": 2}
    train(configuration.resolve(OmegaConf.create(config | {"device": "cpu", "ncpu": 1})))
    epochs = [read(tmp_path / f"exp/model.pt.ep{number}")["state_dict"] for number in (1, 2)]
    mean = read(tmp_path / "exp/model.pt.avg10")  # of as many as there are
    name = "llm.model.layers.0.mlp.up_proj.weight"
    assert mean.keys() == epochs[0].keys() and not epochs[0][name].equal(epochs[1][name])
    torch.testing.assert_close(mean[name], (epochs[0][name] + epochs[1][name]) / 2)


def test_an_epochs_last_step_is_logged(make_config, caplog):
    caplog.set_level("INFO")
    train(make_config(train_conf={"log_interval": 1000, "max_epoch": 2}))
    lines = [text for text in caplog.messages if text.startswith("train, rank: 0")]
    assert len(lines) == 2 and all(re.search(r"step_in_slice: (\d+)/\1,", line) for line in lines)


def test_funasrs_name_for_the_patience(tmp_path):
    trainer = Trainer(Process("cpu"), str(tmp_path), early_stopping_patience=3)
    assert trainer.early_stopping == {"patience": 3, "metric": "loss"}


@pytest.mark.parametrize("save_interval", [1, 1000])
def test_an_interrupted_epoch_is_gone_on_with(save_interval, make_config, tmp_path, train_until_broken_off):
    config = make_config(train_conf={"save_checkpoint_interval": save_interval})
    train(copy.deepcopy(config))
    whole = read(tmp_path / "exp" / "model.pt")
    config["output_dir"] = str(tmp_path / "again")
    train_until_broken_off(config)
    saved = read(tmp_path / "again" / "model.pt")
    assert (saved["epoch"], saved["step"]) == ((1, 1) if save_interval == 1 else (1, None))
    train(copy.deepcopy(config))
    resumed = read(tmp_path / "again" / "model.pt")
    assert resumed["epoch"] == 2
    assert resumed["scheduler"]["last_epoch"] == whole["scheduler"]["last_epoch"]
    assert resumed["batch_total"] == whole["batch_total"]
    assert set(resumed["val_loss_step_or_epoch"]) == set(whole["val_loss_step_or_epoch"])


def test_a_finished_training_is_not_repeated(make_config, tmp_path):
    config = make_config(train_conf={"max_epoch": 1})
    train(copy.deepcopy(config))
    before = (tmp_path / "exp" / "model.pt").stat().st_mtime_ns
    train(copy.deepcopy(config))
    assert (tmp_path / "exp" / "model.pt").stat().st_mtime_ns == before


def test_a_training_cannot_be_resumed_as_a_longer_one(make_config):
    train(make_config(train_conf={"max_epoch": 1}))
    with pytest.raises(ConfigError, match=r"holds a training of \d+ steps, this one has \d+; .*init_param"):
        train(make_config(train_conf={"max_epoch": 3}))


def test_training_from_nothing(make_config, small_model_dir, tmp_path):
    config = yaml.safe_load((small_model_dir / "config.yaml").read_text(encoding="utf-8"))
    config = make_config(
        **config | {"model": "SAP2", "model_directory": str(small_model_dir)},
        train_conf={"max_epoch": 1},
    )
    assert config["model_path"] == str(small_model_dir) and "init_param" not in config
    train(copy.deepcopy(config))
    state = read(tmp_path / "exp" / "model.pt")["state_dict"]
    assert not state["evidence.output.weight"].equal(
        read(small_model_dir / "model.pt")["evidence.output.weight"]
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_data_set_list": ""}, r"training needs \+\+train_data_set_list=..."),
        ({"valid_data_set_list": "no.jsonl"}, "valid_data_set_list: no such file: no.jsonl"),
        ({"init_param": "no.pt"}, "init_param: no such file: no.pt"),
        ({"model": "sap"}, "model: 'sap' is neither a known name nor a model directory; did you mean sap2?"),
        ({"model": "./sap2"}, "model: './sap2' is neither a known name nor a model directory"),
    ],
)
def test_what_training_needs(changes, message, make_config):
    with pytest.raises(ConfigError, match=message):
        make_config(**changes)


@pytest.mark.parametrize(
    ("train_conf", "message"),
    [
        ({"max_epochs": 3}, r"train_conf: unknown key 'max_epochs' \(did you mean 'max_epoch'\?\)"),
        ({"use_fsdp": True, "use_deepspeed": True}, "use_fsdp and use_deepspeed exclude each other"),
        ({"use_fsdp": True, "use_fp16": True}, r"set \+\+train_conf.use_bf16=true instead"),
        ({"use_deepspeed": True}, "DeepSpeed is not installed; install it with pip install deepspeed"),
    ],
)
def test_how_weights_are_shared_out(train_conf, message, monkeypatch):
    monkeypatch.setattr(configuration.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=message):
        distribution_options({"train_conf": train_conf})
    assert distribution_options({"use_fsdp": True, "train_conf": {}})["use_fsdp"]


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_deepspeeds_configurations_fit(stage, monkeypatch, tmp_path):
    monkeypatch.setattr(configuration.importlib.util, "find_spec", lambda name: True)
    file = CONF / "deepspeed" / f"zero{stage}.json"
    conf = json.loads(file.read_text(encoding="utf-8"))
    assert conf["zero_optimization"]["stage"] == stage
    train_conf = {"use_deepspeed": True, "deepspeed_config": str(file)}
    assert distribution_options({"train_conf": train_conf})["deepspeed_config"] == str(file)
    with pytest.raises(ConfigError, match=r"gradient_accumulation_steps is 1, train_conf.accum_grad is 4"):
        distribution_options({"train_conf": train_conf | {"accum_grad": 4}})
    with pytest.raises(
        ConfigError,
        match=r"deepspeed_config: no such file: 'no.json'; expected one, or conf/deepspeed/zero1.json",
    ):
        distribution_options({"train_conf": train_conf | {"deepspeed_config": "no.json"}})
    if stage == 3:
        with pytest.raises(ConfigError, match=r"ZeRO-3 in 2 processes, .* \+\+train_conf\.use_fsdp=true"):
            distribution_options({"train_conf": train_conf}, processes=2)
    else:
        assert distribution_options({"train_conf": train_conf}, processes=2)["use_deepspeed"]
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad\.json is not JSON"):
        distribution_options({"train_conf": train_conf | {"deepspeed_config": str(tmp_path / "bad.json")}})


def test_a_model_without_weights_is_no_start(make_config, small_model_dir, tmp_path):
    for path in small_model_dir.iterdir():
        if path.name != "model.pt":
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(ConfigError, match="holds no weights"):
        make_config(model=str(tmp_path))


def test_freeze_param_is_funasrs(make_model):
    model = make_model(for_training=True)
    freeze_parameters(model, "llm.model.layers.0,ctc")
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {n for n, _ in model.named_parameters() if n.startswith(("llm.model.layers.0.", "ctc."))}
    with pytest.raises(ConfigError, match="freeze_param: the model has no parameter or part 'encoder'"):
        freeze_parameters(model, ["encoder"])
    freeze_parameters(model, None)


@pytest.mark.parametrize("given", [["--config-path", "conf"], ["--config-path=conf"], ["-cp", "conf"]])
def test_a_relative_folder_of_configurations(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packaged = ["--config-path", str(FOLDER)]
    assert _with_config_path(["++a=1"]) == [*packaged, "++a=1"]
    assert _with_config_path(["++a=1", *given]) == [*packaged, "++a=1"]  # run outside a checkout
    (tmp_path / "conf").mkdir()
    whole = ["--config-path", str(tmp_path / "conf")]
    assert _with_config_path(["++a=1", *given, "-m"]) == [*whole, "++a=1", "-m"]


def test_lora_only_is_funasrs(make_model):
    model = make_model(for_training=True, llm_conf={"lora_conf": {"r": 2, "target_modules": ["q_proj"]}})
    choose_trainable(model, {"lora_only": True})
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained and all("lora_" in name for name in trained)
    with pytest.raises(ConfigError, match="nothing is left to train"):
        choose_trainable(make_model(for_training=True), {"lora_only": True})


def test_backends_are_set_where_asked_for():
    def settings():
        cudnn = torch.backends.cudnn
        return cudnn.enabled, cudnn.benchmark, cudnn.deterministic, torch.backends.cuda.matmul.allow_tf32

    names = ("cudnn_enabled", "cudnn_benchmark", "cudnn_deterministic", "enable_tf32")
    before = settings()
    set_backends({})
    assert settings() == before
    changed = tuple(not value for value in before)
    set_backends(dict(zip(names, changed, strict=True)))
    assert settings() == changed
    set_backends(dict(zip(names, before, strict=True)))


def test_the_schedule_is_as_long_as_the_training():
    config = {"scheduler": "onecyclelr", "optim_conf": {"lr": 0.1}}
    build_scheduler_conf(config, 70)
    assert config["scheduler_conf"] == {"total_steps": 70, "max_lr": 0.1, "pct_start": 0.3}
    given = {"scheduler": "onecyclelr", "scheduler_conf": {"total_steps": 5, "max_lr": 1.0}}
    build_scheduler_conf(given, 70)
    assert given["scheduler_conf"] == {"total_steps": 5, "max_lr": 1.0, "pct_start": 0.3}
    with pytest.raises(ConfigError, match=r"needs \+\+optim_conf\.lr"):
        build_scheduler_conf({"scheduler": "onecyclelr"}, 70)
    for steps in (1, 2, 3, 12, 13):  # 12 steps of 1/12 warm-up are a division by zero in torch
        short = {
            "scheduler": "onecyclelr",
            "optim_conf": {"lr": 0.1},
            "scheduler_conf": {"pct_start": 1 / 12},
        }
        build_scheduler_conf(short, steps)
        optim = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optim, **short["scheduler_conf"])
        assert 0 < schedule.get_last_lr()[0] <= 0.1
    other = {"scheduler": "warmuplr"}
    build_scheduler_conf(other, 70)
    assert "scheduler_conf" not in other
