"""What goes wrong in a training: one clear error in all processes, or a counted skip."""

import json
import resource
import signal

import pytest
import torch

from funasr_sap.models.sap2 import SAP2
from funasr_sap.train.base_trainer import BaseTrainer
from funasr_sap.train.checkpoints import Checkpoints

BY_TWO = {"batch_sampler": "BatchSampler", "batch_type": "example", "batch_size": 2}


@pytest.fixture
def bad_data(speech_dir, tmp_path):
    """A JSONL file whose fourth utterance has no audio; its path and that utterance's key."""
    lines = [
        json.loads(line) for line in (speech_dir / "data.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    text = json.dumps(lines[3])
    start = text.index("|>!") + 3
    lines[3] = json.loads(text[:start] + "/nowhere/a.wav" + text[text.index("<|endofspeech|>") :])
    path = tmp_path / "bad.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return str(path), lines[3]["key"]


@pytest.fixture
def broken_at(monkeypatch):
    """``broken_at(step, rank)``: make the loss of one batch NaN."""

    def break_at(step, rank=0):
        forward = SAP2.forward

        def broken(self, *args, **kwargs):
            loss, stats, weight = forward(self, *args, **kwargs)
            if self.training:
                broken.steps += 1
            bad = self.training and broken.steps == step and broken.rank == rank
            return loss * float("nan") if bad else loss, stats, weight

        def fit(self, *args, **kwargs):
            broken.rank = self.rank
            return whole_fit(self, *args, **kwargs)

        broken.steps, whole_fit = 0, BaseTrainer.fit
        monkeypatch.setattr(SAP2, "forward", broken)
        monkeypatch.setattr(BaseTrainer, "fit", fit)

    return break_at


@pytest.mark.parametrize("processes", [1, 2])
def test_a_loss_that_is_not_finite_is_an_error(processes, make_config, steps_of, broken_at, speech_wavs):
    broken_at(3, rank=processes - 1)
    config = make_config(dataset_conf=BY_TWO, train_conf={"max_epoch": 1})
    with pytest.raises(RuntimeError) as error:
        steps_of(config, processes)
    lines = str(error.value).splitlines()
    assert len(lines) == processes and len({line.replace("nan", "") for line in lines}) == 1
    assert lines[-1].startswith("DataError: step 3 (epoch 1, batch 3): the loss is nan for utterances ")
    assert sum(each.key in lines[0] for each in speech_wavs) == 2 and "++train_conf.skip_nan=N" in lines[0]


def test_a_loss_that_is_not_finite_may_be_passed_over(make_config, steps_of, broken_at, tmp_path):
    broken_at(2, rank=1)
    config = make_config(dataset_conf=BY_TWO, train_conf={"max_epoch": 1, "skip_nan": 1})
    assert len(steps_of(config, 2)) == 3
    state = torch.load(tmp_path / "exp" / "model.pt", weights_only=True)
    assert state["skipped"] == 1 and state["scheduler"]["last_epoch"] == 2  # one update was left out
    assert all(value.isfinite().all() for value in state["state_dict"].values())


def test_unreadable_audio_is_an_error(make_config, steps_of, bad_data):
    path, key = bad_data
    config = make_config(dataset_conf=BY_TWO, train_data_set_list=path)
    with pytest.raises(RuntimeError, match=rf"(?s)DataError: {key}: .*/nowhere/a\.wav: .*at most 0"):
        steps_of(config)


def test_unreadable_audio_may_be_passed_over(make_config, steps_of, bad_data, tmp_path):
    path, _ = bad_data
    conf = BY_TWO | {"batch_size": 1, "max_bad": 1}  # one process has nothing to train on, once
    config = make_config(dataset_conf=conf, train_conf={"max_epoch": 1}, train_data_set_list=path)
    assert len(steps_of(config, 2)) == 6
    assert (
        torch.load(tmp_path / "exp" / "model.pt", weights_only=True)["bad_in_epoch"] == 0
    )  # told of, and reset


def test_too_much_unreadable_audio_is_an_error_in_all_processes(make_config, steps_of, bad_data):
    path, key = bad_data
    config = make_config(dataset_conf=BY_TWO, train_conf={"max_epoch": 1}, train_data_set_list=path)
    with pytest.raises(RuntimeError) as error:
        steps_of(config, 2)
    assert [line.count(key) for line in str(error.value).splitlines()] == [1, 1]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_full_disk_leaves_the_checkpoint_of_before(processes, make_config, steps_of, tmp_path, monkeypatch):
    write = Checkpoints.write

    def filling(self, state, name, is_best):
        if state["step"] == 4:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        write(self, state, name, is_best)

    monkeypatch.setattr(Checkpoints, "write", filling)
    config = make_config(dataset_conf=BY_TWO, train_conf={"max_epoch": 2, "save_checkpoint_interval": 2})
    config["dataset_conf"]["batch_size"] = 2 // processes
    with pytest.raises(RuntimeError) as error:
        steps_of(config, processes)
    lines = str(error.value).splitlines()
    assert len(lines) == processes and all("OSError: " in line and "model.pt.ep0.4" in line for line in lines)
    folder = tmp_path / "exp"
    assert torch.load(folder / "model.pt", weights_only=True)["step"] == 2
    assert {file.name for file in folder.glob("*model.pt*")} == {"model.pt", "model.pt.ep0.2"}
