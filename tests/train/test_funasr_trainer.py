import logging

import pytest
import torch
from funasr.bin import train_ds
from miniature_paraformer import write_paraformer
from omegaconf import OmegaConf

from funasr_sap.data.funasr_jsonl import FunASRJsonlOptions, scp2funasr_jsonl
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.train.funasr_trainer import check_freeze, check_lines, restore_latest, train


@pytest.fixture(autouse=True)
def funasr_trainer(monkeypatch):
    """FunASR's own Trainer comes back after each test."""
    monkeypatch.setattr(train_ds, "Trainer", train_ds.Trainer)


@pytest.fixture
def config(tmp_path, speech_dir, speech_wavs):
    """What finetunes a miniature Paraformer on 12 spoken utterances."""
    files = [str(speech_dir / name) for name in ("wav.scp", "text")]
    scp2funasr_jsonl(FunASRJsonlOptions(files, str(tmp_path / "train.jsonl"), jobs=1))
    return {
        "model": str(write_paraformer(tmp_path / "start", [each.text for each in speech_wavs])),
        "train_data_set_list": str(tmp_path / "train.jsonl"),
        "valid_data_set_list": str(tmp_path / "train.jsonl"),
        "output_dir": str(tmp_path / "exp"),
        "device": "cpu",
        "ncpu": 1,
        "disable_update": True,
        "freeze_param": "encoder",
        "dataset_conf": {"num_workers": 0, "pin_memory": False},
        "train_conf": {"max_epoch": 3, "avg_nbest_model": 1, "log_interval": 1},
        "optim_conf": {"lr": 0.003},
        "scheduler_conf": {"warmup_steps": 3},
    }


def weights(path):
    state = torch.load(path, weights_only=True)
    return state.get("state_dict", state)


def test_trains_on_a_cpu_resumes_and_decodes(config, tmp_path, speech_wavs):
    from funasr import AutoModel

    train(OmegaConf.create(config))
    losses = torch.load(tmp_path / "exp/model.pt", weights_only=True)["val_loss_step_or_epoch"]
    assert losses["model.pt.ep3"] < losses["model.pt.ep2"] < losses["model.pt.ep1"]

    # Killed while it wrote its last checkpoint, started again for one epoch more.
    latest = tmp_path / "exp/model.pt"
    latest.write_bytes(latest.read_bytes()[:5000])
    train(OmegaConf.create(config | {"train_conf": config["train_conf"] | {"max_epoch": 4}}))
    resumed = torch.load(latest, weights_only=True)["val_loss_step_or_epoch"]
    assert list(resumed) == [f"model.pt.ep{epoch}" for epoch in (1, 2, 3, 4)]
    assert resumed["model.pt.ep3"] == losses["model.pt.ep3"]

    before, after = weights(tmp_path / "start/model.pt"), weights(tmp_path / "exp/model/model.pt")
    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder", "predictor"}

    (tmp_path / "start").rename(tmp_path / "elsewhere")  # the new directory needs no other one
    loaded = AutoModel(
        model=str(tmp_path / "exp/model"), device="cpu", disable_update=True, disable_pbar=True
    )
    results = loaded.generate(input=[each.source for each in speech_wavs[:2]])
    assert [result["key"] for result in results] == [each.key for each in speech_wavs[:2]]
    assert torch.equal(loaded.model.decoder.embed[0].weight, after["decoder.embed.0.weight"])


@pytest.mark.parametrize("key", ["model", "train_data_set_list", "output_dir"])
def test_a_missing_key_is_named(config, key):
    with pytest.raises(ConfigError, match=rf"\+\+{key}="):
        train(OmegaConf.create({name: value for name, value in config.items() if name != key}))


def test_processes_without_gpus_are_refused(config, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="one process"):
        train(OmegaConf.create(config))


def test_lines_that_funasr_passes_over(tmp_path, caplog):
    path = tmp_path / "a.jsonl"
    line = '{"key": "u%d", "source": "a.wav", "target": "a b", "source_len": %d, "target_len": 2}\n'
    path.write_text(line % (1, 100) + '{"messages": []}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:2: expected an object with source and target.*convert"):
        check_lines(str(path), {})
    path.write_text(line % (1, 100) + line % (2, 2100))
    with caplog.at_level(logging.WARNING):
        check_lines(str(path), {})
    assert "left out 1 of 2 utterances" in caplog.text
    with pytest.raises(DataError, match="all 2 utterances are longer"):
        check_lines(str(path), {"max_source_length": 50})
    check_lines(str(path), {"max_source_length": 3000, "max_token_length": 3000})


def test_a_freeze_name_that_is_no_part(config, tmp_path):
    check_freeze(tmp_path / "start", "encoder,predictor.cif_conv1d")
    with pytest.raises(ConfigError, match="no part 'encod'; it has decoder, encoder, predictor"):
        check_freeze(tmp_path / "start", "decoder,encod")


def test_broken_checkpoint_without_another_is_put_aside(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04")
    restore_latest(tmp_path)
    assert not (tmp_path / "model.pt").exists()
