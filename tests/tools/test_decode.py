import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from miniature_paraformer import write_paraformer

from funasr_sap.data.jsonl import write_jsonl
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi, write_biasing_list
from funasr_sap.errors import ConfigError

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "decode.py"
TIMEOUT = 600  # seconds; a run takes half a minute on a free machine


def load_tool():
    spec = importlib.util.spec_from_file_location("decode_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


main = load_tool().main


@pytest.fixture(scope="module")
def paraformer(speech_wavs, tmp_path_factory) -> str:
    return str(write_paraformer(tmp_path_factory.mktemp("paraformer"), [each.text for each in speech_wavs]))


@pytest.fixture
def scp(speech_wavs, tmp_path) -> Path:
    """Six utterances in no order, and one that is no audio."""
    broken = tmp_path / "broken.wav"
    broken.write_text("this is no audio")
    lines = [f"{each.key} {each.source}\n" for each in speech_wavs[5::-1]]
    (tmp_path / "wav.scp").write_text("".join([*lines[:2], f"broken {broken}\n", *lines[2:]]))
    return tmp_path / "wav.scp"


def read_lines(path) -> list[tuple[str, str]]:
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    return [tuple(line.split("\t")) for line in lines[:-1]]


def arguments(model, scp, **options) -> list[str]:
    options = {"model_dir": model, "scp_file": scp, "batch_size": 3, "device": "cpu", **options}
    return [f"++{name}={value}" for name, value in options.items()]


def test_sap2_gives_what_automodel_gives(small_model_dir, speech_wavs, scp, tmp_path, capsys):
    from funasr_sap import AutoModel

    words = {"broken": []} | {each.key: list(each.hotwords[:5]) for each in speech_wavs}
    write_biasing_list(tmp_path / "biasing_list", words)
    outputs = {"output_file": tmp_path / "all.txt", "output_dir": tmp_path / "out"}
    options = outputs | {"top": 3, "threshold": 0.0}
    call = arguments(small_model_dir, scp, biasing_list=tmp_path / "biasing_list", **options)
    assert main(call) == 1
    stdout = capsys.readouterr().out
    model = AutoModel(model=str(small_model_dir), ncpu=1, disable_pbar=True)
    expected = model.generate(str(scp), hotwords=words, top=3, threshold=0)
    good = [each for each in expected if "error" not in each]
    assert len(good) == 6 and any(each["keywords"] for each in good)
    assert read_lines(tmp_path / "all.txt") == [(each["key"], each["text"]) for each in good]
    folder = tmp_path / "out/1best_recog"
    assert read_kaldi(folder / "text", allow_empty=True) == {each["key"]: each["text"] for each in good}
    assert read_biasing_list(folder / "keywords") == {each["key"]: each["keywords"] for each in good}
    times = {key: json.loads(value) for key, value in read_kaldi(folder / "time_stamp").items()}
    assert times == {each["key"]: each["timestamp"] for each in good}
    assert read_kaldi(folder / "errors") == {"broken": expected[2]["error"]}
    assert stdout.startswith(f"{tmp_path / 'all.txt'}: 7 utterances (") and stdout.endswith(", 1 failed\n")


def test_paraformer_gives_what_funasr_gives(paraformer, scp, tmp_path):
    import funasr

    output = tmp_path / "all.txt"
    assert main(arguments(paraformer, scp, output_file=output, output_dir=tmp_path / "out")) == 1
    model = funasr.AutoModel(model=paraformer, ncpu=1, disable_pbar=True, disable_update=True, device="cpu")
    good = {key: path for key, path in read_kaldi(scp).items() if key != "broken"}
    expected = {key: model.generate(path, output_timestamp=True)[0] for key, path in good.items()}
    assert read_lines(output) == [(key, each["text"]) for key, each in expected.items()]
    assert len({each["text"] for each in expected.values()}) == 6
    times = read_kaldi(tmp_path / "out/1best_recog/time_stamp")
    assert {key: json.loads(value) for key, value in times.items()} == {
        key: each["timestamp"] for key, each in expected.items()
    }
    assert list(read_kaldi(tmp_path / "out/1best_recog/errors")) == ["broken"]
    scp.write_text("".join(line for line in scp.open() if not line.startswith("broken")))
    assert main(arguments(paraformer, scp, output_file=tmp_path / "again.txt", batch_size=1)) == 0
    assert (tmp_path / "again.txt").read_bytes() == output.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 3, "repair": "false"}, r"repair, top: SAP²'s alone, and .* is a Paraformer"),
        ({"biasing_list": "words.txt"}, "a Paraformer takes no hotwords"),
        ({"top": "many"}, "cannot use"),
        ({"gpus": "7"}, "this machine has"),
    ],
)
def test_what_paraformer_does_not_take_is_an_error(options, message, paraformer, scp, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("xylem\nphloem\n")
    with pytest.raises(ConfigError, match=message):
        main(arguments(paraformer, scp, output_file="all.txt", **options))
    assert not list(tmp_path.glob("all.txt*"))


def test_a_jsonl_brings_its_own_lists(small_model_dir, speech_wavs, tmp_path):
    from funasr_sap import AutoModel

    write_jsonl(tmp_path / "data.jsonl", speech_wavs[:3])
    assert main(arguments(small_model_dir, tmp_path / "data.jsonl", output_dir=tmp_path / "out")) == 0
    model = AutoModel(model=str(small_model_dir), ncpu=1, disable_pbar=True)
    expected = model.generate(str(tmp_path / "data.jsonl"))
    found = read_biasing_list(tmp_path / "out/1best_recog/keywords")
    assert found == {each["key"]: each["keywords"] for each in expected} and any(found.values())


def test_help_lists_all_keys(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    stdout = capsys.readouterr().out
    keys = ("output_file", "nj", "gpus", "batch_seconds", "resume", "vad_model", "index_dir", "time_stamp")
    assert all(key in stdout for key in keys)


def start(*call) -> subprocess.Popen:
    command = [sys.executable, TOOL, *call]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, **pipes)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["paraformer", "small_model_dir"])
def test_two_processes_killed_and_resumed_give_what_one_gives(model, request, speech_wavs, tmp_path):
    """Three runs load the model, two of them in two processes."""
    model, scp = request.getfixturevalue(model), tmp_path / "wav.scp"
    lines = [f"{each.key}_{n} {each.source}\n" for n in range(8) for each in speech_wavs]
    random.Random(0).shuffle(lines)
    scp.write_text("".join(lines))
    assert main(arguments(model, scp, output_file=tmp_path / "one.txt")) == 0
    call = arguments(model, scp, output_file=tmp_path / "two.txt", nj=2)
    process, partial = start(*call), tmp_path / "two.txt.partial.jsonl"
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end and process.poll() is None:
        if partial.exists() and partial.read_bytes().count(b"\n") > 10:
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = partial.read_bytes().count(b"\n") - 1
    assert 10 <= finished < len(lines) and not (tmp_path / "two.txt").exists()
    stdout, stderr = start(*call).communicate(timeout=TIMEOUT)
    assert f", {finished} finished before, 0 failed" in stdout, stderr
    assert (tmp_path / "two.txt").read_bytes() == (tmp_path / "one.txt").read_bytes()
