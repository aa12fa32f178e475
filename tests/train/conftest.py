"""Trainings in miniature, in one process or several, with all they log in numbers."""

import copy
import io
import json
import os
import signal
import socket
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from funasr_sap.train import checkpoints
from funasr_sap.train.configuration import resolve
from funasr_sap.train.trainer import Trainer
from funasr_sap.train.training import train

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def make_config(small_model_dir, speech_dir, tmp_path):
    """``make_config(**changes)``: a resolved finetuning of ``small_model_dir`` for two epochs."""

    def make(**changes):
        config = yaml.safe_load((CONF / "finetune.yaml").read_text(encoding="utf-8"))
        config.pop("validation_conf", None)
        config["dataset_conf"] |= {"batch_size": 1500, "max_distractors": 5}
        config["train_conf"] |= {"max_epoch": 2, "log_interval": 1000}
        config |= {
            "model": str(small_model_dir),
            "train_data_set_list": str(speech_dir / "data.jsonl"),
            "valid_data_set_list": str(speech_dir / "data.jsonl"),
            "output_dir": str(tmp_path / "exp"),
            "device": "cpu",
            "ncpu": 1,
        }
        for key, value in changes.items():
            config[key] = config.get(key, {}) | value if key.endswith("_conf") else value
        return resolve(OmegaConf.create(config))

    return make


class BrokenOffError(Exception):
    """Raised where a test wants the training to break off."""


@pytest.fixture
def train_until_broken_off(monkeypatch):
    """``train_until_broken_off(config)``: train, but for an error at the second step of the second epoch."""
    forward, steps = Trainer.forward_step, []

    def break_off(self, model, *args, **kwargs):
        steps.append(model.training)
        if steps[-3:] == [False, True, True]:
            raise BrokenOffError
        return forward(self, model, *args, **kwargs)

    def run(config):
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "forward_step", break_off)
            with pytest.raises(BrokenOffError):
                train(copy.deepcopy(config))

    return run


@pytest.fixture
def steps_of(tmp_path, monkeypatch):
    """``steps_of(config, processes=1, **kill)``: train, and return the loss of each update.

    The loss is that of all batches of all processes; the updates are numbered by their last batch. The
    processes are forked, and joined over gloo. ``kill_after=N`` kills each by SIGKILL after N batches,
    ``kill_in_write=N`` in the middle of the N-th checkpoint. An error that they raise is raised here too.
    """
    log, save = Trainer.log, checkpoints._save

    def torn(state, stream):
        torn.left -= 1
        if torn.left:
            save(state, stream)
            return
        whole = io.BytesIO()
        save(state, whole)
        stream.write(whole.getvalue()[: whole.tell() // 2])
        stream.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    def noted(self, loss_dict=None, tag="train", **kwargs):
        log(self, loss_dict, tag, **kwargs)
        if tag == "train":
            self.steps_here = getattr(self, "steps_here", 0) + 1
            before, summed = getattr(self, "group_here", (0.0, 0.0))
            summed += float(loss_dict["loss"]) * (self.group_weight - before)
            self.group_here = (self.group_weight, summed)
            if self.update_is_due():
                line = {"step": self.batch_total, "loss": summed / self.group_weight}
                self.group_here = (0.0, 0.0)
                with open(self.notes, "a", encoding="utf-8") as stream:
                    stream.write(json.dumps(line) + "\n")
            if self.steps_here == self.kill_after:
                os.kill(os.getpid(), signal.SIGKILL)

    def run(config, processes=1, kill_after=None, kill_in_write=None):
        notes = tmp_path / "notes.jsonl"
        notes.unlink(missing_ok=True)
        monkeypatch.setattr(Trainer, "log", noted)
        monkeypatch.setattr(Trainer, "notes", str(notes), raising=False)
        monkeypatch.setattr(Trainer, "kill_after", kill_after, raising=False)
        torn.left = kill_in_write or 0
        monkeypatch.setattr(checkpoints, "_save", torn)
        statuses = fork_all(processes, copy.deepcopy(config), tmp_path)
        errors = [file.read_text(encoding="utf-8") for file in sorted(tmp_path.glob("error.*"))]
        for file in tmp_path.glob("error.*"):
            file.unlink()
        if kill_after or kill_in_write:
            assert -signal.SIGKILL in statuses  # the others notice, or are killed too
        elif errors:
            raise RuntimeError("\n".join(errors))
        losses = {}
        for line in notes.read_text(encoding="utf-8").splitlines() if notes.exists() else ():
            each = json.loads(line)
            assert losses.setdefault(each["step"], each["loss"]) == each["loss"]  # all ranks log the same
        return losses

    return run


def fork_all(processes: int, config: dict, folder: Path) -> list[int]:
    """Train in forked processes; return their exit statuses, negative for signals."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    context = torch.multiprocessing.get_context("fork")
    arguments = [(rank, processes, port, config, folder) for rank in range(processes)]
    workers = [context.Process(target=train_as, args=each) for each in arguments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    hangs = [worker for worker in workers if worker.is_alive()]
    for worker in hangs:
        worker.kill()
    assert not hangs, "a process hangs"
    return [worker.exitcode for worker in workers]


def train_as(rank: int, world_size: int, port: str, config: dict, folder: Path) -> None:
    """Train as one of several processes, in torchrun's terms; an error is written to a file."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world_size)}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": port}
    torch.set_num_threads(1)
    try:
        train(config)
    except Exception as error:
        (folder / f"error.{rank}").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
        raise
