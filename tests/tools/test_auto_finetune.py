import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import yaml

from funasr_sap.data.jsonl import read_jsonl, write_jsonl
from funasr_sap.data.staged import prepare_staged_data
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.models.published import read_checkpoint
from funasr_sap.train.history import ValidationHistory
from funasr_sap.train.record import write_record
from funasr_sap.train.stage_table import main as print_table
from funasr_sap.train.stages import main as plan_stages
from funasr_sap.train.stages import merge, read_plan

ROOT = Path(__file__).parents[2]
BASE = ROOT / "conf" / "finetune.yaml"


def run(tool, *options, **environment):
    command = ["bash", str(ROOT / "tools" / tool), *map(str, options)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def write_plan(path, **changes):
    plan = {"stages": [{"ratio": "50:50"}, {"ratio": "0:100"}]} | changes
    path.write_text(yaml.safe_dump(plan), encoding="utf-8")
    return path


@pytest.fixture
def sets(speech_wavs, tmp_path):
    """Four disjoint sets of three utterances, as options of auto_finetune.sh."""
    options = []
    for number, name in enumerate(("general-train", "general-val", "domain-train", "domain-val")):
        path = tmp_path / f"{name}.jsonl"
        write_jsonl(path, speech_wavs[3 * number : 3 * number + 3])
        options += [f"--{name}", path]
    return options


def test_the_plan_that_comes_with_the_package():
    stages = read_plan(ROOT / "conf" / "auto_finetune.yaml", BASE)
    assert [ratio for ratio, _ in stages] == ["50:50", "20:80", "0:100"]
    base = yaml.safe_load(BASE.read_text(encoding="utf-8"))
    for _, config in stages:
        assert config["optim_conf"] == base["optim_conf"] and config["dataset_conf"] == base["dataset_conf"]
        assert config["train_conf"]["early_stopping"] == {"patience": 3, "metric": "loss"}
        assert config["train_conf"]["grad_clip"] == base["train_conf"]["grad_clip"]


def test_own_keys_count_instead_of_common_ones(tmp_path):
    common = {"optim_conf": {"lr": 1.0}, "seed": 5}
    plan = write_plan(
        tmp_path / "plan.yaml",
        all=common,
        stages=[{"ratio": "1:1", "optim_conf": {"lr": 2.0}}, {"ratio": "0:1", "llm_conf": {"freeze": True}}],
    )
    (_, first), (_, second) = read_plan(plan, BASE)
    assert first["optim_conf"] == {"lr": 2.0, "weight_decay": 0.01, "betas": [0.9, 0.98]}
    assert second["optim_conf"]["lr"] == 1.0 and second["llm_conf"] == {"freeze": True}
    assert first["seed"] == second["seed"] == 5 and "llm_conf" not in first
    assert merge({"a": {"b": 1}}, {"a": 2}) == {"a": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage": []}, r"unknown key 'stage' \(did you mean 'stages'\?\)"),
        ({"stages": []}, "expected a list of stages"),
        ({"stages": [{"ratio": 3050}]}, r"stage 1: expected a ratio in quotes, such as \"50:50\", got 3050"),
        ({"stages": [{"ratio": "1:1", "optim_cnf": {}}]}, "stage 1: unknown key 'optim_cnf' .*'optim_conf'"),
        ({"all": {"model": "sap2"}}, "all: unknown key 'model'"),
    ],
)
def test_plans_are_checked(changes, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        read_plan(write_plan(tmp_path / "plan.yaml", **changes), BASE)
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(ConfigError, match="is not YAML"):
        read_plan(tmp_path / "broken.yaml", BASE)


def test_mixes_must_have_the_ratios_of_the_plan(sets, tmp_path, capsys):
    files = {tuple(name[2:].split("-")): path for name, path in zip(sets[::2], sets[1::2], strict=True)}
    prepare_staged_data(files, tmp_path / "staged", ratios=["50:50", "0:100"])
    options = ["--plan", str(write_plan(tmp_path / "plan.yaml")), "--base", str(BASE)]
    options += ["--staged-data", str(tmp_path / "staged")]
    plan_stages(options)
    assert capsys.readouterr().out == "50:50\n0:100\n"
    write_plan(tmp_path / "plan.yaml", stages=[{"ratio": "20:80"}])
    with pytest.raises(ConfigError, match="has the ratios 50:50 0:100, the plan has 20:80; mix anew"):
        plan_stages(options)


def test_the_table(sets, tmp_path, capsys):
    files = {tuple(name[2:].split("-")): path for name, path in zip(sets[::2], sets[1::2], strict=True)}
    prepare_staged_data(files, tmp_path / "staged", ratios=["50:50"])
    seconds = {
        source: sum(each.speech_length for each in read_jsonl(files[source, "train"])) / 100
        for source in ("general", "domain")
    }
    history = ValidationHistory(tmp_path / "stage1")
    history.add(5, 1, "model.pt.ep1", {"loss": 0.5, "wer": 12.345, "b_wer": 30.0})
    history.add(9, 2, "model.pt.ep2", {"loss": 0.6, "wer": 11.0})
    write_record(tmp_path / "stage1", {"train_conf": {"avg_keep_nbest_models_type": "loss"}})
    print_table([str(tmp_path / "stage1"), "--staged-data", str(tmp_path / "staged")])
    row = [cell.strip() for cell in capsys.readouterr().out.splitlines()[2].strip("|").split("|")]
    hours = [f"{seconds[source] / 3600:.2f}" for source in ("general", "domain")]
    assert row == ["stage1", "50:50", *hours, "2", "0.5000", *["12.35", "-", "30.00", "-"]]
    write_record(tmp_path / "stage1", {"train_conf": {"avg_keep_nbest_models_type": "wer"}})
    print_table([str(tmp_path / "stage1"), "--staged-data", str(tmp_path / "staged")])
    assert "| 0.6000 | 11.00 |" in re.sub(" +", " ", capsys.readouterr().out)
    with pytest.raises(DataError, match="stage 1 has no validation"):
        print_table([str(tmp_path / "stage7"), "--staged-data", str(tmp_path / "staged")])
    with pytest.raises(DataError, match=r"parts\.json is missing"):
        print_table([str(tmp_path / "stage1"), "--staged-data", str(tmp_path)])


@pytest.mark.parametrize("tool", ["auto_finetune.sh", "finetune_stage.sh"])
def test_help_and_wrong_options(tool):
    done = run(tool, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: bash tools/{tool}")
    share = "expected 0 to 1" if tool.startswith("auto") else "unknown option --start-share"
    for options, message in (
        (["--no-such", "1"], "unknown option --no-such"),
        (["loose"], "unexpected argument loose"),
        (["--nproc", "0"] if tool.startswith("fine") else [], "missing"),
        (["--output-dir", "x", "--start-share", "50"], share),
    ):
        failed = run(tool, *options)
        assert failed.returncode == 1 and message in failed.stderr


@pytest.mark.slow
def test_two_stages_and_a_crash(sets, small_model_dir, tmp_path):
    """Starts an interpreter for each step: about a minute."""
    plan = write_plan(
        tmp_path / "plan.yaml",
        all={
            "dataset_conf": {"batch_type": "example", "batch_size": 2, "max_distractors": 5},
            "validation_conf": {"utterances": 2, "distractors": 3},
            "train_conf": {"max_epoch": 2, "log_interval": 1},
            "device": "cpu",
        },
    )
    exp = tmp_path / "exp"
    options = ["--model", small_model_dir, "--config", plan, "--output-dir", exp, "++ncpu=1", *sets]
    options += ["--start-share", "1"]  # all of the start: of the training nothing is left
    failed = run("auto_finetune.sh", *options, "++train_conf.no_such_metric=1", "++optim_conf.lr=oops")
    assert failed.returncode and not (exp / "stage1" / ".trained.done").exists()
    shutil.rmtree(exp / "stage1")
    done = run("auto_finetune.sh", *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[0].startswith("| stage ") and len(done.stdout.splitlines()) == 4
    assert (exp / "RESULTS.md").read_text(encoding="utf-8") == done.stdout
    for name in (
        "train_log.html",
        "train_log.png",
        "train_log.txt",
        "model/model.pt",
        "stage2/model.pt.best",
    ):
        assert (exp / name).is_file(), name
    log = (exp / "stage2" / "train.log").read_text(encoding="utf-8")
    assert "stage1/model.pt.best" in log and "pruning-recall" in log
    start, best, final = map(
        read_checkpoint, (small_model_dir / "model.pt", exp / "stage2/model.pt.best", exp / "model/model.pt")
    )
    assert all(torch.equal(final[name], start[name]) for name in start)
    assert not all(torch.equal(best[name], start[name]) for name in start)
    # What a crash in the last stage leaves: the rest is not done again.
    (exp / "stage2" / ".trained.done").unlink()
    (exp / "stage2" / "model.pt").unlink()
    before = (exp / "stage1" / "model.pt").stat().st_mtime_ns
    again = run("auto_finetune.sh", *options)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "already done" in again.stderr and again.stdout == done.stdout
    assert (exp / "stage1" / "model.pt").stat().st_mtime_ns == before
