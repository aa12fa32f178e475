from pathlib import Path

import pytest
import torch

from funasr_sap.errors import ConfigError
from funasr_sap.train.checkpoints import LATEST
from funasr_sap.train.distributed import find_process

# A batch of four, of which each of two processes, or each of two batches an update, gets two.
WHOLE = {"batch_sampler": "BatchSampler", "batch_type": "example", "batch_size": 4}
HALVES = WHOLE | {"batch_size": 2}
STEPS = 21  # 12 utterances, 3 batches of four an epoch


@pytest.fixture
def make_exact(make_config, tmp_path):
    """``make_exact(name, **changes)``: a training without noise, so that only the data decides."""

    def make(name, **changes):
        changes = {"dataset_conf": WHOLE, "train_conf": {}} | changes
        changes["train_conf"] = {"max_epoch": STEPS // 3} | changes["train_conf"]
        quiet = {
            "optim_conf": {"lr": 0.003},
            "specaug": None,
            "model_conf": {"span_weight": 1.0, "letter_weight": 0.1},
            "task_weights": {"transcribe": 1.0, "joint": 1.0, "prune": 1.0},
        }
        return make_config(output_dir=str(tmp_path / name), **quiet, **changes)

    return make


def weights(config):
    return torch.load(f"{config['output_dir']}/{LATEST}", weights_only=True)["state_dict"]


def assert_same(expected, found, alone, other):
    assert len(expected) == len(found) == STEPS
    for loss, again in zip(expected.values(), found.values(), strict=True):
        assert again == pytest.approx(loss, abs=1e-4)
    assert expected[STEPS] < 0.9 * expected[1]
    one, other = weights(alone), weights(other)
    for name, value in one.items():  # AdamW makes steps of the learning rate from gradients of nearly 0 too
        torch.testing.assert_close(other[name], value, rtol=0, atol=2e-3)


@pytest.mark.parametrize("extra", [{}, {"use_fsdp": True}], ids=["ddp", "fsdp"])
def test_two_processes_train_as_one(extra, make_exact, steps_of):
    alone = make_exact("alone")
    together = make_exact("together", dataset_conf=HALVES, train_conf=extra)
    expected, found = steps_of(alone), steps_of(together, processes=2)
    assert_same(expected, found, alone, together)
    for config in (alone, together):  # the first process writes, alone
        assert len(list(Path(config["output_dir"], "tensorboard").glob("events.*"))) == 1


@pytest.mark.parametrize("processes", [1, 2])
def test_batches_of_an_update_count_as_one(processes, make_exact, steps_of):
    alone = make_exact("alone")
    conf = WHOLE | {"batch_size": 2 // processes}
    gathered = make_exact("gathered", dataset_conf=conf, train_conf={"accum_grad": 2})
    expected, found = steps_of(alone), steps_of(gathered, processes)
    assert list(found) == [2 * step for step in expected]
    assert_same(expected, found, alone, gathered)


def test_an_epochs_last_batches_are_trained_on(make_exact, steps_of):
    conf = {"accum_grad": 2, "max_epoch": 2}
    config = make_exact("short", dataset_conf=WHOLE, train_conf=conf)
    assert list(steps_of(config)) == [2, 3, 5, 6]  # three batches an epoch
    state = torch.load(f"{config['output_dir']}/{LATEST}", weights_only=True)
    assert state["scheduler"]["last_epoch"] == 4 and state["scheduler"]["total_steps"] == 4


def test_who_a_process_is(monkeypatch):
    assert find_process("cpu").world_size == 1
    for name, value in {"RANK": 3, "LOCAL_RANK": 1, "WORLD_SIZE": 4}.items():
        monkeypatch.setenv(name, str(value))
    process = find_process("cpu")
    assert (process.rank, process.local_rank, process.world_size, process.device) == (3, 1, 4, "cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_process("cuda").device == "cuda:1"
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ConfigError, match="process 2 of this machine has no GPU, of which there are 2"):
        find_process("cuda")
