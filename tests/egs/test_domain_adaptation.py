import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from funasr_sap.data.jsonl import read_jsonl, write_jsonl

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "egs" / "domain_adaptation"


def run(*command):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as in an activated environment
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment, timeout=500
    )


def test_training_lacks_what_test_sets_have(speech_wavs, tmp_path):
    write_jsonl(tmp_path / "train.jsonl", speech_wavs)
    sentence, other = speech_wavs[0], next(each for each in speech_wavs[1:] if each.keywords)
    (tmp_path / "text").write_text(f"a {sentence.text}\nb so it is\n", encoding="utf-8")
    (tmp_path / "keywords").write_text(f"a\nb {other.keywords[0]}\n", encoding="utf-8")
    done = run(
        *(sys.executable, RECIPE / "local" / "part_sets.py", "--training", tmp_path / "train.jsonl"),
        *("--test", tmp_path),
    )
    assert done.returncode == 0, done.stderr
    kept = read_jsonl(tmp_path / "train.jsonl")
    assert kept == [
        each
        for each in speech_wavs
        if each.text != sentence.text and other.keywords[0] not in each.text.split()
    ]
    assert 0 < len(kept) < len(speech_wavs) - 1


@pytest.mark.parametrize(
    ("general", "changes"),
    [((10, 20, 10.9), ("+100.0 %", "+9.0 %, met.")), ((0, 1, 0), ("+inf %", "+0.0 %, met."))],
)
def test_the_table_says_what_was_forgotten(general, changes, tmp_path):
    rates = dict(zip(("start", "only", "stage1"), zip(general, (50, 20, 30), strict=True), strict=True))
    for model, values in rates.items():
        for name, wer in zip(("general_test", "domain_test"), values, strict=True):
            folder = tmp_path / model / name
            folder.mkdir(parents=True)
            score = {rate: {"error_rate": wer} for rate in ("wer", "u_wer", "b_wer")}
            (folder / "score.json").write_text(json.dumps(score), encoding="utf-8")
    script = RECIPE / "local" / "adaptation_table.py"
    options = [
        "--decoded",
        tmp_path,
        "--sets",
        "general_test",
        "domain_test",
        "--command",
        "x",
        "--seed",
        "4",
    ]
    options += ["--models", *rates, "--labels", "start", "(a)", "(b)", "--output", tmp_path / "RESULTS.md"]
    done = run(sys.executable, script, *options)
    assert done.returncode == 0, done.stderr
    assert all(change in done.stdout for change in changes)
    assert (tmp_path / "RESULTS.md").read_text(encoding="utf-8") == done.stdout
    assert "- seed: 4" in done.stdout and "- hardware: " in done.stdout


@pytest.mark.slow
def test_the_recipe_cut_down(tmp_path):
    """Makes six sets, trains four times, decodes 14 times: two to three minutes."""
    work = "test"
    options = ["--train-utterances", 16, "--val-utterances", 6, "--utterances", 4, "--work", work]
    options += ["--distractors", 5, "--jobs", 1]
    recipe = tmp_path / "egs" / "domain_adaptation"
    recipe.parent.mkdir()
    for name in ("tools", "conf", "funasr_sap"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "egs" / "slidespeech").symlink_to(ROOT / "egs" / "slidespeech")
    recipe.mkdir()
    for name in ("run.sh", "path.sh", "local", "conf"):
        (recipe / name).symlink_to(RECIPE / name)
    done = run("bash", recipe / "run.sh", *options)
    assert done.returncode == 0, done.stderr[-3000:]
    results = (recipe / "exp" / work / "decode" / "RESULTS.md").read_text(encoding="utf-8")
    rows = [line for line in results.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[2:]] == [
        *("start", "(a) domain alone", "(a) averaged with the start"),
        *("(b) stage 1", "(b) stage 2", "(b) stage 3", "(b) averaged with the start"),
    ]
