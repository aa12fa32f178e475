import copy
import dataclasses
import logging
from types import SimpleNamespace

import pytest
import torch

from funasr_sap.data.dataset import SAP2Dataset
from funasr_sap.errors import ConfigError
from funasr_sap.train import trainer as trainer_module
from funasr_sap.train.history import ValidationHistory
from funasr_sap.train.log import read_stages
from funasr_sap.train.training import train
from funasr_sap.train.validation import (
    ValidationDecoder,
    ValidationOptions,
    build_decoder,
    decode_on_first_rank,
)

RATES = {"wer", "u_wer", "b_wer", "pruning_precision", "pruning_recall", "pruning_f1"}


def run(config):
    train(copy.deepcopy(config))


@pytest.fixture
def dataset(speech_dir, frontend):
    return SAP2Dataset(str(speech_dir / "data.jsonl"), frontend=frontend, is_training=False)


def test_the_embedded_model_is_judged_as_what_it_is(speech_dir):
    from funasr_sap import AutoModel

    loaded = AutoModel(model="sap2", device="cpu", ncpu=1)
    data = SAP2Dataset(str(speech_dir / "data.jsonl"), frontend=loaded.kwargs["frontend"], is_training=False)
    rates = ValidationDecoder(data, data, ValidationOptions(utterances=8, distractors=5))(loaded.model)
    assert set(rates) == RATES
    assert rates["wer"] < 40 and rates["pruning_f1"] > 60


def test_sample_and_lists_are_the_same_each_time(dataset):
    options = ValidationOptions(utterances=5, distractors=3)
    first, again = (ValidationDecoder(dataset, dataset, options) for _ in range(2))
    assert first.lists == again.lists and len(first.texts) == 5
    for key, words in first.lists.items():
        true = set(first.keywords[key])
        assert true <= set(words) and len(words) == len(true) + 3
        assert not (set(words) - true) & set(first.texts[key].split())
    other = ValidationDecoder(dataset, dataset, ValidationOptions(utterances=5, distractors=3, seed=1))
    assert set(other.texts) != set(first.texts) or other.lists != first.lists
    everything = ValidationDecoder(dataset, dataset, ValidationOptions(utterances=99, distractors=10**6))
    assert len(everything.texts) == len(dataset)  # as many distractors as there are, and no error


def test_chinese_is_judged_by_character(dataset):
    decoder = ValidationDecoder(dataset, dataset, ValidationOptions(utterances=1, distractors=0))
    (key,) = decoder.texts
    decoder.texts, decoder.keywords = {key: "我们学习语言"}, {key: ["语言"]}
    decoder.lists = {key: ["语言"]}
    rates = decoder._rate({key: {"text": "我们学习寓言", "keywords": []}})
    assert rates["wer"] == pytest.approx(100 / 6) and rates["b_wer"] == 50 and rates["u_wer"] == 0
    assert rates["pruning_recall"] == 0 and "pruning_precision" not in rates


def test_unreadable_audio_is_left_out(dataset, small_model, caplog):
    decoder = ValidationDecoder(dataset, dataset, ValidationOptions(utterances=2, distractors=0))
    decoder.requests = [dataclasses.replace(each, audio="no.wav") for each in decoder.requests]
    with caplog.at_level(logging.WARNING):
        assert decoder(small_model) == {}
    assert "no audio of the 2 utterances to decode can be read" in caplog.text


def test_mode_and_randomness_stay(dataset, make_model):
    model = make_model(for_training=True).train()
    decoder = ValidationDecoder(dataset, dataset, ValidationOptions(utterances=2, distractors=2))
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    assert decode_on_first_rank(decoder, model, torch.bfloat16).keys() <= RATES
    assert torch.rand(4).equal(wanted) and model.training


def test_weights_in_parts_are_not_decoded(dataset, make_model, caplog):
    model = make_model()
    next(model.parameters()).ds_id = 0  # as DeepSpeed's ZeRO-3 marks them
    assert decode_on_first_rank(None, model, torch.float32) == {}
    assert "spread over the ranks" in caplog.text


def test_what_cannot_be_decoded_says_why(dataset, small_model, make_model, caplog):
    untrained = make_model(model_conf={"llm_weight": 0.0, "ctc_weight": 1.0})
    loader = SimpleNamespace(dataset_val=dataset, dataset_tr=dataset)
    caplog.set_level(logging.INFO)
    caplog.clear()
    assert build_decoder(None, loader, small_model) is None
    assert build_decoder({"utterances": 0}, loader, small_model) is None
    assert not caplog.text
    assert build_decoder({}, loader, untrained) is None
    assert build_decoder({}, loader, torch.nn.Linear(1, 1)) is None
    assert build_decoder({}, SimpleNamespace(dataset_val=[]), small_model) is None
    for reason in ("llm_weight is 0", "the model is Linear", "the dataset is list"):
        assert reason in caplog.text
    assert isinstance(build_decoder({"utterances": 1}, loader, small_model), ValidationDecoder)


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"utterence": 5}, r"validation_conf: unknown key 'utterence' \(did you mean 'utterances'"),
        ({"distractors": -1}, "validation_conf.distractors: expected a whole number from 0, got -1"),
        ({"batch_size": 0}, "validation_conf.batch_size: expected a whole number from 1"),
        ({"utterances": True}, "validation_conf.utterances: .* got True"),
    ],
)
def test_options_are_checked(conf, message):
    with pytest.raises(ConfigError, match=message):
        build_decoder(conf, None, None)


def test_decoding_changes_no_loss(make_config, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    losses = []
    for name, conf in (("with", {"utterances": 4, "distractors": 3}), ("without", {"utterances": 0})):
        caplog.clear()
        changes = {"validation_conf": conf, "output_dir": str(tmp_path / name)}
        run(make_config(train_conf={"validate_interval": 2, "log_interval": 1}, **changes))
        log = tmp_path / name / "train.log"
        log.write_text(caplog.text, encoding="utf-8")
        (stage,) = read_stages([log])
        losses.append([value for _, value in stage.series("loss")])
        found = stage.validations[-1].values
        assert found.keys() >= RATES if name == "with" else "wer" not in found
        assert len(stage.validations) > 2  # within the epochs too
    assert losses[0] == losses[1] and len(losses[0]) > 3
    history = ValidationHistory(tmp_path / "with").entries
    assert [each["checkpoint"] for each in history][-1] == "model.pt.ep2"
    assert any("ep0." in each["checkpoint"] for each in history)
    for entry, validation in zip(history, stage.validations, strict=True):
        assert entry["step"] == validation.step and entry["loss"] == pytest.approx(
            validation.values["loss"], abs=1e-4
        )
    assert list((tmp_path / "with" / "tensorboard").iterdir())


def test_best_and_stopping_by_wer(make_config, tmp_path, monkeypatch):
    found = iter([30.0, 20.0, 25.0, 26.0, 1.0])
    calls = []

    def decode(*args):
        calls.append(args)
        return {"wer": next(found)}

    monkeypatch.setattr(trainer_module, "decode_on_first_rank", decode)
    config = make_config(
        train_conf={
            "max_epoch": 6,
            "avg_keep_nbest_models_type": "wer",
            "early_stopping": {"patience": 2, "metric": "wer"},
            "keep_nbest_models": 2,
        },
        validation_conf={"utterances": 2},
    )
    run(config)
    exp = tmp_path / "exp"
    best, last = (torch.load(exp / name, weights_only=True) for name in ("model.pt.best", "model.pt"))
    assert (best["epoch"], last["epoch"], len(calls)) == (2, 4, 4)
    assert best["best_step_or_epoch"] == "model.pt.ep2"
    assert set(last["saved_ckpts"]) == {"model.pt.ep2", "model.pt.ep3"}
    run(config)  # is done, and stays so
    assert len(calls) == 4 and torch.load(exp / "model.pt", weights_only=True)["epoch"] == 4


@pytest.mark.parametrize(
    ("train_conf", "message"),
    [
        (
            {"avg_keep_nbest_models_type": "wer"},
            "avg_keep_nbest_models_type: got 'wer', but",
        ),
        ({"early_stopping": {"patience": 1, "metric": "b_wer"}}, "early_stopping.metric: got 'b_wer', but"),
        ({"early_stopping": {"patient": 1}}, "early_stopping: unknown key 'patient'"),
        ({"avg_keep_nbest_models_type": "cer"}, "expected one of loss, acc, wer, b_wer, got 'cer'"),
    ],
)
def test_what_to_choose_by_is_checked(train_conf, message, make_config):
    with pytest.raises(ConfigError, match=message):
        run(make_config(train_conf=train_conf))


def test_history(tmp_path):
    history = ValidationHistory(tmp_path)
    assert history.best("loss") is None and history.since_best("loss") == 0
    for step, loss, acc in ((2, 3.0, 0.1), (4, 1.0, float("nan")), (6, 2.0, 0.5), (8, 1.0, 0.4)):
        history.add(step, step // 2, f"model.pt.ep{step // 2}", {"loss": loss, "acc": acc})
    history.add(10, 5, "model.pt.ep5", {"loss": 0.5}, write=False)
    read = ValidationHistory(tmp_path)
    assert len(read.entries) == 4 and "acc" not in read.entries[1]
    assert read.best("loss")["step"] == 4 and read.since_best("loss") == 2
    assert read.best("acc")["step"] == 6 and read.since_best("acc") == 1
    read.forget_after(4)
    read.add(4, 2, "model.pt.ep2", {"loss": 9.0})
    assert [each["loss"] for each in read.entries] == [3.0, 9.0]


def test_two_processes_agree(make_config, steps_of, tmp_path):
    config = make_config(train_conf={"max_epoch": 1}, validation_conf={"utterances": 4, "distractors": 3})
    alone = steps_of(config | {"output_dir": str(tmp_path / "one")}, processes=2)
    assert alone == steps_of(
        config | {"output_dir": str(tmp_path / "two"), "validation_conf": None}, processes=2
    )
    (entry,) = ValidationHistory(tmp_path / "one").entries
    assert entry.keys() >= RATES - {"b_wer", "pruning_precision"}
