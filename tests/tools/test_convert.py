import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, ROOT / "tools" / "convert.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_is_dropped_is_said(tmp_path):
    (tmp_path / "a.tsv").write_text('u1\thello\t["hello"]\t["hello", "x"]\n')
    (tmp_path / "wav.scp").write_text("u1 wav/u1.flac\n")
    done = run(
        *("--from", "tsv", "--to", "sap2", "--input", tmp_path / "a.tsv", "--output", tmp_path / "a.json"),
        *("--wav-scp", tmp_path / "wav.scp"),
    )
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/a.json: 1 utterances, 0 left out\n")
    assert done.stderr == "WARNING: dropped keywords of 1 utterances: sap2 cannot hold it\n"
    assert json.loads((tmp_path / "a.json").read_text())[0]["audios"] == "wav/u1.flac"


@pytest.mark.parametrize("skip_bad", [False, True])
def test_twenty_bad_lines_are_shown_and_all_are_counted(tmp_path, skip_bad):
    good = '{"key": "u", "source": "a.wav"}\n'
    (tmp_path / "a.jsonl").write_text("{\n" * 30 + good)
    ways = (
        "--from",
        "jsonl",
        "--to",
        "funasr",
        "--input",
        tmp_path / "a.jsonl",
        "--output",
        tmp_path / "out",
    )
    done = run(*ways, *["--skip-bad"] * skip_bad)
    assert "30 bad line(s)" in done.stderr and "... and 10 more" in done.stderr
    assert f"{tmp_path}/a.jsonl:20: not JSON" in done.stderr and "a.jsonl:21:" not in done.stderr
    if skip_bad:
        assert (done.returncode, done.stdout) == (0, f"{tmp_path}/out: 1 utterances, 30 left out\n")
        assert (tmp_path / "out").read_text() == good
    else:
        assert (done.returncode, done.stdout) == (1, "")
        assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_missing_input_is_one_sentence(tmp_path):
    done = run("--from", "jsonl", "--to", "tsv", "--input", tmp_path / "none", "--output", tmp_path / "out")
    assert done.returncode == 1 and done.stderr == f"error: {tmp_path}/none: No such file or directory\n"


def test_help_lists_the_formats():
    done = run("--help")
    assert done.returncode == 0 and "sap2-joint" in done.stdout and "LibriSpeech's biasing TSV" in done.stdout
