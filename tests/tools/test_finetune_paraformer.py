import subprocess
import sys
from pathlib import Path

import pytest
import torch
from miniature_paraformer import write_paraformer

from funasr_sap.data.kaldi import read_kaldi
from funasr_sap.data.mini_corpus import make_corpus

ROOT = Path(__file__).parents[2]
FAST = (
    *("--lr", "0.004", "--batch-type", "example", "--batch-size", "4", "--workers", "0", "--device", "cpu"),
    *("--jobs", "1", "++train_conf.log_interval=1", "++scheduler_conf.warmup_steps=10"),
)


def finetune(folder, *arguments):
    command = ["bash", ROOT / "tools/finetune_paraformer.sh", *map(str, arguments)]
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return subprocess.run(
        command, cwd=folder, env={"PATH": path, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--train", "here"), "give --val SET"),
        (("--train", "here", "--val", "there"), "--val: no such file or folder: there"),
        (("--train", "here", "--val", "here", "--general-train", "here"), "go together"),
        (("--train", "here", "--val", "here", "--epochs", "1 2"), "--epochs '1 2': expected 1 or 1 numbers"),
        (("--train", "here", "--val", "here", "--device", "tpu"), "unknown --device 'tpu'"),
        (("--trian", "here"), "unknown option --trian"),
    ],
)
def test_wrong_options(tmp_path, arguments, message):
    (tmp_path / "here").mkdir()
    done = finetune(tmp_path, *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / "exp").exists()


def test_help(tmp_path):
    done = finetune(tmp_path, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: bash tools/finetune_paraformer.sh")


@pytest.mark.slow
def test_three_mixes_and_decoding(tmp_path):
    """A Kaldi directory and ChatML lines, three mixes with a frozen encoder, decoding, scores."""
    for seed, name in enumerate(("train", "val", "general_train", "general_val")):
        make_corpus(tmp_path / name, "train", utterances=24 if "train" in name else 6, seed=seed, jobs=1)
    names = ("wav.scp", "text")
    keys = ("++scp_file", "++transcript_file")
    files = [f"{key}=general_train/{name}" for key, name in zip(keys, names, strict=True)]
    chatml = [sys.executable, ROOT / "tools/scp2jsonl.py", *files, "++jsonl_file=general.jsonl"]
    subprocess.run(chatml, cwd=tmp_path, check=True)
    texts = [text for path in tmp_path.glob("*/text") for text in read_kaldi(path).values()]
    write_paraformer(tmp_path / "model", texts)
    arguments = (
        *("--model", "model", "--train", "train", "--val", "val", "--test", "val", "--freeze", "encoder"),
        *("--general-train", "general.jsonl", "--general-val", "general_val", "--epochs", "2 2 3"),
        *("--output-dir", "exp/it", *FAST),
    )
    done = finetune(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    losses = [validation_losses(tmp_path / f"exp/it/stage{number}") for number in (1, 2, 3)]
    assert [len(each) for each in losses] == [2, 2, 3]
    assert losses[2][-1] < losses[1][-1] < losses[0][-1]
    assert len((tmp_path / "exp/it/data/staged/stage1/train.jsonl").read_text().splitlines()) == 48
    assert read_kaldi(tmp_path / "exp/it/decode/1best_recog/text", allow_empty=True).keys() == (
        read_kaldi(tmp_path / "val/text").keys()
    )
    assert "WER" in done.stdout

    again = finetune(tmp_path, *arguments)
    assert again.returncode == 0
    assert again.stderr.count("already done") == 9, "four sets, the mixes, three trainings, the decoding"


@pytest.mark.slow
def test_a_finetuned_model_writes_words(tmp_path, speech_dir, speech_wavs):
    """What it was trained on for long enough, a miniature begins to spell."""
    write_paraformer(tmp_path / "model", [each.text for each in speech_wavs])
    done = finetune(
        tmp_path,
        *("--model", "model", "--train", speech_dir, "--val", speech_dir, "--test", speech_dir),
        *("--epochs", "60", "--keep", "1", *FAST),
    )
    assert done.returncode == 0, done.stderr
    losses = validation_losses(tmp_path / "exp/paraformer/stage1")
    assert losses[-1] < losses[0] / 2
    texts = read_kaldi(tmp_path / "exp/paraformer/decode/1best_recog/text", allow_empty=True)
    assert sum(map(bool, texts.values())) > len(texts) / 2


def validation_losses(folder):
    return list(torch.load(folder / "model.pt", weights_only=True)["val_loss_step_or_epoch"].values())
