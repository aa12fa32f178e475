"""Trainings that are killed, and go on."""

import random

import pytest
import torch

from funasr_sap.train.checkpoints import BEST, LATEST

KEEP = 2  # checkpoints


@pytest.fixture
def make_training(make_config, tmp_path):
    """``make_training(name)``: with masks, tasks and lists drawn at random, six batches an epoch."""

    def make(name, **train_conf):
        return make_config(
            output_dir=str(tmp_path / name),
            dataset_conf={"batch_sampler": "BatchSampler", "batch_type": "example", "batch_size": 2},
            train_conf={"keep_nbest_models": KEEP, "save_checkpoint_interval": 2} | train_conf,
            task_weights={"transcribe": 1.0, "transcribe_with_context": 1.0, "joint": 1.0},
        )

    return make


def read(config, name=LATEST):
    return torch.load(f"{config['output_dir']}/{name}", weights_only=True)


def check_folder(folder):
    """All checkpoints are whole, and there are no more than wanted."""
    names = {file.name for file in folder.glob("model.pt*")}
    for name in names:
        torch.load(folder / name, weights_only=True)
    assert len(names - {LATEST, BEST}) <= KEEP + 1


def crash_and_go_on(config, kills, steps_of, folder, processes=1):
    """Kill a training again and again, and let it end; return the losses of all of its steps."""
    losses, steps = {}, []
    for kill in [*kills, {}]:
        found = steps_of(config, processes, **kill)
        steps.append(min(found, default=None))
        for step, loss in found.items():
            assert losses.setdefault(step, loss) == loss  # a step that is made again is the same
        check_folder(folder)
    assert not list(folder.glob(".model.pt*"))
    return losses, steps


def assert_same_end(whole, crashed):
    one, other = read(whole), read(crashed)
    for name, value in one["state_dict"].items():
        assert other["state_dict"][name].equal(value), name
    for key in ("scheduler", "epoch", "batch_total", "saved_ckpts", "best_step_or_epoch", "train_loss_avg"):
        assert other[key] == one[key]


def test_killed_twice_in_one_epoch(make_training, steps_of, tmp_path):
    whole, crashed = make_training("whole"), make_training("crashed")
    expected = steps_of(whole)
    kills = [{"kill_after": 3}, {"kill_in_write": 2}]  # batches 3 and 6; FunASR would go on from 2 twice
    losses, begun = crash_and_go_on(crashed, kills, steps_of, tmp_path / "crashed")
    assert begun == [1, 3, 5] and losses == expected and len(expected) == 12
    assert_same_end(whole, crashed)


def test_two_processes_are_killed(make_training, steps_of, tmp_path):
    whole, crashed = make_training("whole"), make_training("crashed")
    expected = steps_of(whole, 2)
    losses, _ = crash_and_go_on(crashed, [{"kill_after": 3}], steps_of, tmp_path / "crashed", processes=2)
    assert losses == expected and len(expected) == 6
    assert_same_end(whole, crashed)


@pytest.mark.slow  # twelve trainings
def test_killed_ten_times(make_training, steps_of, tmp_path):
    conf = {"max_epoch": 8, "accum_grad": 2}
    whole, crashed = make_training("whole", **conf), make_training("crashed", **conf)
    rng = random.Random(0)
    kills = [{rng.choice(["kill_after", "kill_in_write"]): rng.randint(2, 5)} for _ in range(10)]
    expected = steps_of(whole)
    losses, begun = crash_and_go_on(crashed, kills, steps_of, tmp_path / "crashed")
    assert losses == expected and len(expected) == 24 and begun == sorted(begun)
    assert_same_end(whole, crashed)


def test_a_middle_of_an_epoch_needs_as_many_processes(make_training, steps_of, tmp_path):
    config = make_training("crashed")
    steps_of(config, kill_after=3)
    with pytest.raises(
        Exception, match=r"model\.pt is of batch 2 of an epoch shared by 1 processes, this training has 2"
    ):
        steps_of(config, 2)


def test_a_damaged_checkpoint_is_named(make_training, steps_of, tmp_path):
    config = make_training("crashed")
    folder = tmp_path / "crashed"
    folder.mkdir()
    (folder / LATEST).write_bytes(b"half of it")
    with pytest.raises(
        Exception, match=r"ConfigError: .*model\.pt is damaged; copy one of its model\.pt\.ep\* over it"
    ):
        steps_of(config)
