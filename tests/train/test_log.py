import gzip
import logging
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from funasr_sap.errors import DataError
from funasr_sap.train.log import read_stages

REAL = Path(__file__).parent / "logs" / "cpu_training.txt"  # lines of a true training of this package


def line(step, rank=0, epoch=0, batches=100, epochs=3, loss=1.0, acc=None, kind="train", second=None, **more):
    """Write a line as FunASR's Trainer does; ``more``: lr, peak (GB), data_slice and stats of the model."""
    stats = [("loss_llm", loss), *([] if acc is None else [("acc", acc)]), ("loss", loss)]
    stats += [(name, value) for name, value in more.items() if name not in ("lr", "peak", "data_slice")]
    in_slice = step - epoch * batches
    head = "" if second is None else f"[2026-01-02 10:{second // 60:02}:{second % 60:02},500][root][INFO] - "
    return (
        f"{head}{kind}, rank: {rank}, epoch: {epoch}/{epochs}, data_slice: {more.get('data_slice', '0/1')}, "
        f"step_in_slice: {in_slice}/{batches}, step_in_epoch: {in_slice}, total step: {step}, "
        f"(loss_avg_rank: {loss:.3f}), (loss_avg_slice: {loss:.3f}), (ppl_avg_slice: {math.e:.3e}), "
        f"(acc_avg_slice: {acc or 0:.3f}), (lr: {more.get('lr', 1e-3):.3e}), {stats}, "
        "{'data_load': '0.100', 'forward_time': '0.200', 'backward_time': '0.200', 'optim_time': '0.000', "
        "'total_time': '0.500'}, "
        f"GPU, memory: usage: 1.000 GB, peak: {more.get('peak', 2):.3f} GB, "
        "cache: 3.000 GB, cache_peak: 4.000 GB\n"
    )


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(each if each.endswith("\n") else f"{each}\n" for each in lines)
    with gzip.open(path, "wt") if path.suffix == ".gz" else open(path, "w") as stream:
        stream.write(text)
    return path


def read(path, *lines):
    return read_stages([write(path, *lines)])[0]


def steps(stage, rank=0):
    return [point.step for point in stage.ranks[rank]]


def test_a_true_log():
    (stage,) = read_stages([REAL])
    assert stage.name == "logs"
    assert steps(stage) == [50, 400, 800, 1200, 1600, 1758, 2108, 2508, 2908, 3308, 3466]
    assert [(each.step, each.epoch, each.values) for each in stage.validations] == [
        (1708, 0, {"loss": 0.7891}),
        (3416, 1, {"loss": 0.7169}),
    ]
    first = stage.points[0]
    assert first.values == {
        "loss": 0.616,
        "loss_ctc": 0.616,
        "loss_avg": 1.095,
        "lr": 6.675e-05,
        "data_load": 0.06,
        "forward_time": 0.102,
        "backward_time": 0.204,
        "optim_time": 0.01,
        "total_time": 0.376,
        **dict.fromkeys(["gpu_usage", "gpu_peak", "gpu_cache", "gpu_cache_peak"], 0.0),
    }
    assert (first.left_in_epoch, first.remaining) == (1658, 9 * 1708 - 50)
    assert f"{first.time:%Y-%m-%d %H:%M:%S.%f}" == "2026-11-21 09:59:08.429000"
    assert (stage.last_step, stage.finished, stage.resumptions) == (3466, False, 0)


def test_the_lines_are_those_that_funasr_writes(tmp_path, caplog):
    import torch
    from funasr.train_utils.trainer_ds import Trainer

    trainer = SimpleNamespace(rank=3, max_epoch=7, log_interval=1, writer=None, use_wandb=False)
    trainer.train_loss_avg, trainer.train_acc_avg = 2.5, 0.25
    stats = {"acc": torch.tensor(0.5), "cer": torch.tensor(0.125), "loss": torch.tensor(2.0)}
    facts = {"epoch": 2, "batch_idx": 19, "log_step": 19, "step_in_epoch": 20, "batch_total": 120, "lr": 1e-4}
    facts |= {
        "batch_num_epoch": 50,
        "data_split_i": 1,
        "data_split_num": 4,
        "speed_stats": {"total_time": "0.25"},
    }
    with caplog.at_level(logging.INFO):
        Trainer.log(trainer, {"loss": torch.tensor(2.0), "stats": stats, **facts})
    (point,) = read(tmp_path / "log.txt", caplog.messages[-1]).ranks[3]
    assert (point.step, point.epoch, point.left_in_epoch, point.remaining) == (120, 2, 130, 4 * 200 + 130)
    values = {name: value for name, value in point.values.items() if not name.startswith("gpu_")}
    assert values == {
        "loss": 2.0,
        "loss_avg": 2.5,
        "acc": 0.5,
        "acc_avg": 0.25,
        "cer": 0.125,
        "lr": 1e-4,
        "total_time": 0.25,
    }


@pytest.mark.parametrize("timed", [True, False])
def test_rotated_logs(tmp_path, timed):
    parts = {"log.txt": [50, 60], "log.txt.1": [30, 40], "log.txt.2.gz": [20], "log.txt.10.gz": [10]}
    for name, found in parts.items():
        write(tmp_path / name, *(line(step, second=step if timed else None) for step in found))
    write(tmp_path / "log.txt.bak", line(70))
    (stage,) = read_stages([tmp_path / "log.txt"])
    assert steps(stage) == [10, 20, 30, 40, 50, 60]
    assert stage.resumptions == 0


def test_ranks(tmp_path):
    lines = [
        line(step, rank=rank, loss=step + rank, peak=4 - rank) for step in (10, 20) for rank in (1, 0, 2)
    ]
    stage = read(tmp_path / "log.txt", *lines)
    assert sorted(stage.ranks) == [0, 1, 2]
    assert stage.series("loss") == [(10, 11.0), (20, 21.0)]
    assert stage.series("gpu_peak") == [(10, 4.0), (20, 4.0)]
    assert stage.series("none") == []


def test_ranks_in_files_of_their_own(tmp_path):
    begun = [f"Validate epoch: 1, rank: {rank}" for rank in (0, 1)]
    for rank in (0, 1):
        lines = [line(step, rank=rank, second=step) for step in (50, 100)]
        values = line(100, rank=rank, kind="val", epoch=1, loss=1.0 + rank, acc=0.5)
        lines += [
            begun[rank],
            values,
            line(150, rank=rank, epoch=1, second=150),
            "Validate epoch: 2, rank: 0",
        ]
        write(tmp_path / f"rank{rank}.log", *lines)
    (stage,) = read_stages([tmp_path / "rank0.log", tmp_path / "rank1.log"])
    assert steps(stage, 0) == steps(stage, 1) == [50, 100, 150]
    assert stage.resumptions == 0
    assert [(each.step, each.values) for each in stage.validations] == [(100, {"loss": 1.5, "acc": 0.5})]


def test_steps_that_were_made_again_replace_those_of_before(tmp_path):
    before = [line(step, rank=rank, loss=1) for step in (10, 20, 30, 40) for rank in (0, 1)]
    lines = [*before[:4], "Validate epoch: 0, rank: 0", "Update best loss: 7.0000, x", *before[4:]]
    again = [line(step, rank=rank, loss=2) for step in (30, 40, 50) for rank in (0, 1)]
    stage = read(tmp_path / "log.txt", *lines, "Checkpoint loaded successfully from 'x'", *again)
    assert stage.series("loss") == [(10, 1), (20, 1), (30, 2), (40, 2), (50, 2)]
    assert stage.resumptions == 1
    assert [point.session for point in stage.points] == [0, 0, 1, 1, 1]
    assert [each.step for each in stage.validations] == [20]
    assert read(tmp_path / "log.txt", *lines, *again).resumptions == 1


def test_a_resumption_without_steps_made_again(tmp_path):
    stage = read(
        tmp_path / "log.txt", line(10), "Checkpoint loaded successfully from 'x'", line(20), line(30)
    )
    assert (steps(stage), stage.resumptions) == ([10, 20, 30], 1)
    begun = read(tmp_path / "log.txt", "Checkpoint loaded successfully from 'x'", line(10), line(20))
    assert begun.resumptions == 0  # finetuning from a checkpoint is no resumption of this log


def test_validation(tmp_path):
    lines = [
        line(90),
        "Validate epoch: 1, rank: 0",
        *(line(100, kind="val", rank=rank, loss=loss, acc=0.5) for loss in (9, 2) for rank in (0, 1)),
        line(150, epoch=1),
        "Validate epoch: 1, rank: 0",  # within the epoch: the last step of the log is the best guess
        "No improvement in acc: 0.4000 < 0.5000, exp/model.pt.ep1",
        line(190, epoch=1),
        "Validate epoch: 2, rank: 0",
        "epoch 2: validation loss 1.5000, accuracy nan, WER 20.50, B-WER 30.25, pruning-F1 90.50",
        "current_val: 1.25, best_val_loss: 2.0",
        "Early stopping triggered at epoch 2",
    ]
    stage = read(tmp_path / "log.txt", *lines)
    assert [(each.step, each.values) for each in stage.validations] == [
        (100, {"loss": 2.0, "acc": 0.5}),
        (150, {"acc": 0.4}),
        (200, {"loss": 1.25, "wer": 20.5, "b_wer": 30.25, "pruning_f1": 90.5}),
    ]
    assert stage.stopped_early and stage.finished


def test_the_last_epoch_finishes(tmp_path):
    assert not read(tmp_path / "log.txt", line(290, epoch=2)).finished
    assert read(
        tmp_path / "log.txt", line(290, epoch=2), "Validate epoch: 3, rank: 0", "Update best acc: 1"
    ).finished
    assert not read(
        tmp_path / "log.txt", line(100, epoch=0, batches=100, epochs=1, data_slice="0/2")
    ).finished


def test_a_log_and_its_copy_count_once(tmp_path):
    warning = "[2026-01-02 11:00:00,000][root][WARNING] - The grad norm is nan. Skipping updating the model."
    lines = [line(step, second=step) for step in (10, 20)]
    for name in ("train.log", "log.txt"):
        write(tmp_path / name, *lines, warning)
    (stage,) = read_stages([tmp_path])
    assert (steps(stage), stage.resumptions, stage.skipped_updates) == ([10, 20], 0, 1)


def test_no_numbers(tmp_path):
    stage = read(tmp_path / "log.txt", line(10), line(20, loss=math.nan), line(30, loss=math.inf))
    assert str(stage.series("loss")) == "[(10, 1.0), (20, nan), (30, inf)]"


def test_progress_bars_and_broken_lines_are_passed_over(tmp_path):
    noise = [
        "epoch 1/3:  5%|#   | 5/100\r",
        "\ufffd\x00",
        line(20)[:100],
        line(30).replace("total step: 30, ", ""),
    ]
    assert steps(read(tmp_path / "log.txt", *noise, line(10), *noise)) == [10]


def test_stages_come_in_the_order_of_their_times(tmp_path):
    for number, name in enumerate(("b", "c", "a")):
        write(tmp_path / name / "train.log", line(10, second=number))
    assert [stage.name for stage in read_stages([tmp_path])] == ["b", "c", "a"]
    for name in "abc":
        write(tmp_path / name / "train.log", line(10))
    assert [stage.name for stage in read_stages([tmp_path / "c", tmp_path / "a"])] == ["a", "c"]
    write(tmp_path / "x" / "a" / "train.log", line(10))
    names = [stage.name for stage in read_stages([tmp_path / "a", tmp_path / "x" / "a"])]
    assert names == [str(tmp_path / "a"), str(tmp_path / "x" / "a")]


def test_no_log(tmp_path):
    with pytest.raises(DataError, match=r"holds no training log \(train.log or log.txt\)"):
        read_stages([tmp_path])
    with pytest.raises(DataError, match=r"log\.txt: no training steps, expected"):
        read(tmp_path / "log.txt", "nothing")
    with pytest.raises(FileNotFoundError):
        read_stages([tmp_path / "none"])
