"""DeepSpeed where it is installed: on CPUs, over gloo. It compiles a part of itself the first time."""

import importlib.util
from pathlib import Path

import pytest

from funasr_sap.models.published import read_checkpoint

CONF = Path(__file__).parents[2] / "conf" / "deepspeed"
BATCHES = {"batch_sampler": "BatchSampler", "batch_type": "example", "batch_size": 2}  # 3 an epoch, each

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed"),
]


@pytest.fixture
def make_training(make_config, monkeypatch, tmp_path):
    """``make_training(name, **train_conf)``: two epochs without noise, in bf16."""
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")

    def make(name, **train_conf):
        changes = {"optim_conf": {"lr": 0.003}, "specaug": None, "dataset_conf": BATCHES}
        return make_config(output_dir=str(tmp_path / name), train_conf=train_conf, **changes)

    return make


@pytest.mark.parametrize(("stage", "processes"), [(1, 2), (2, 2), (3, 1)])
def test_zero_trains_as_replicas_do(stage, processes, make_training, steps_of, tmp_path):
    expected = steps_of(make_training("replicas", use_bf16=True), processes)
    zero = {"use_deepspeed": True, "deepspeed_config": str(CONF / f"zero{stage}.json")}
    config = make_training("zero", save_checkpoint_interval=2, **zero)
    assert list(steps_of(config, processes, kill_after=3)) == [1, 2, 3]
    found = steps_of(config, processes)
    assert list(found) == list(expected)[2:]  # on from the checkpoint of batch 2
    for step, loss in found.items():
        assert loss == pytest.approx(expected[step], rel=0.02)
    if stage < 3:
        state = read_checkpoint(tmp_path / "zero/model.pt/mp_rank_00_model_states.pt")
        assert "llm.model.embed_tokens.weight" in state
