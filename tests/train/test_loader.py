import logging

import pytest

from funasr_sap.errors import DataError
from funasr_sap.train.loader import Loader

LIMIT = 300  # frames of 10 ms


@pytest.fixture
def make_loader(speech_dir, frontend):
    """``make_loader(**dataset_conf)``: of twelve spoken utterances."""

    def make(**conf):
        sets = {f"{kind}_data_set_list": str(speech_dir / "data.jsonl") for kind in ("train", "valid")}
        common = {"batch_type": "length", "batch_size": 2000, "num_workers": 0, "pin_memory": False}
        return Loader(frontend=frontend, dataset="SAP2Dataset", dataset_conf=common | conf, **sets)

    return make


@pytest.mark.parametrize("sampler", ["BatchSampler", "EspnetStyleBatchSampler"])
def test_all_utterances_are_used(sampler, make_loader, speech_wavs, caplog):
    train, _ = make_loader(batch_sampler=sampler).build_iter(0)
    keys = [key for batch in train for key in batch["keys"]]
    assert sorted(keys) == sorted(each.key for each in speech_wavs)
    assert "in no batch" not in caplog.text


def test_what_a_sampler_leaves_out_is_counted_once(make_loader, speech_wavs, caplog):
    caplog.set_level(logging.WARNING)
    long = sum(each.speech_length > LIMIT for each in speech_wavs)
    assert 0 < long < len(speech_wavs)
    loader = make_loader(batch_sampler="BatchSampler", max_token_length=LIMIT)
    for epoch in range(3):
        train, val = loader.build_iter(epoch)
        assert sum(len(batch["keys"]) for batch in train) == len(speech_wavs) - long
        assert len(val) > 0
    for kind in ("training", "validation"):
        assert caplog.text.count(f"{long} of 12 utterances of the {kind} set are in no batch") == 1


def test_nothing_left_is_an_error(make_loader):
    loader = make_loader(batch_sampler="BatchSampler", max_token_length=1)
    with pytest.raises(DataError, match="12 of 12 utterances of the training set are in no batch"):
        loader.build_iter(0)
