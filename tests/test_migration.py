"""The documents for users of other systems: their commands, one after another, on miniatures."""

import shutil
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/models"))

import miniatures  # noqa: E402
from test_docs import commands  # noqa: E402

DOCUMENTS = {
    "docs/from_sap2_asr.md": lambda folder, tokenizer: miniatures.sap2_asr_adapters(
        folder / "checkpoint-1000",
        miniatures.qwen2_audio(folder / "Qwen/Qwen2-Audio-7B-Instruct", tokenizer),
    ),
    "docs/from_fun_asr.md": lambda folder, tokenizer: miniatures.fun_asr_nano(
        folder / "FunAudioLLM/Fun-ASR-Nano-2512", tokenizer
    ),
    "docs/from_osum.md": lambda folder, tokenizer: miniatures.osum(
        folder / "infer.pt", tokenizer, folder / "Qwen2-7B"
    ),
    "docs/from_whisper.md": lambda folder, tokenizer: (
        miniatures.whisper(folder / "openai/whisper-large-v3-turbo"),
        miniatures.qwen3(folder / "Qwen/Qwen3-0.6B", tokenizer),
    ),
}


@pytest.fixture
def workplace(tokenizer, speech_dir, speech_wavs, tmp_path):
    """A folder like the repository's root, with data; the names of hubs are folders in it."""
    for name in ("conf", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "conf/sap2_osum.yaml").write_text(yaml.safe_dump(miniatures.osum_config()), encoding="utf-8")
    (tmp_path / "data/test").mkdir(parents=True)
    for name in ("train.jsonl", "dev.jsonl"):
        shutil.copyfile(speech_dir / "data.jsonl", tmp_path / "data" / name)
    for name in ("wav.scp", "biasing_list"):
        lines = (speech_dir / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (tmp_path / "data/test" / name).write_text("".join(lines[:2]), encoding="utf-8")
    shutil.copyfile(speech_wavs[0].source, tmp_path / "a.wav")
    (tmp_path / "slides.txt").write_text("photosynthesis\nchlorophyll\n", encoding="utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_commands_of_a_document_run(document, workplace, tokenizer, run_in):
    DOCUMENTS[document](workplace, tokenizer)
    ran = 0
    for words in commands(document):
        run_in(workplace, [word.replace("$PWD", str(workplace)) for word in words])
        ran += 1
    assert ran >= 2


@pytest.fixture
def run_in():
    """``run_in(folder, words)``: run a command with this Python, and without the network."""
    import os
    import subprocess

    def run(folder, words):
        programs = {
            "python": [sys.executable],
            "funasr": [sys.executable, "-m", "funasr_sap"],
            "funasr-sap-train": [sys.executable, "-m", "funasr_sap.train.main"],
        }
        environment = {
            **os.environ,
            **{"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
        }
        command = programs[words[0]] + words[1:]
        if words[0] != "python":
            command.append("++ncpu=1")
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"

    return run
