"""Audio as phones, browsers, microphones and other libraries hand it over."""

import re
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from encoding import encode

from funasr_sap.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def containers(samples, tmp_path_factory):
    """The first utterance, without loss, in containers that libsndfile does not read."""
    folder = tmp_path_factory.mktemp("containers")
    return [encode(folder / f"talk.{kind}", samples) for kind in ("mov", "m4b")]


@pytest.fixture(scope="module")
def expected(model, wavs, hotwords):
    return model.generate(wavs[0], hotwords=hotwords)[0]


def assert_same(result, expected, key):
    assert result["key"] == key
    for field in ("text", "keywords", "timestamp"):
        assert result[field] == expected[field]


def test_containers_by_path_and_bytes(model, containers, hotwords, expected):
    for path in containers:
        assert_same(model.generate(path, hotwords=hotwords)[0], expected, "talk")
        for source in (path.read_bytes(), memoryview(path.read_bytes())):
            assert_same(model.generate(source, hotwords=hotwords)[0], expected, "audio_0")
            assert_same(model.generate([source], hotwords=hotwords, fs=8000)[0], expected, "audio_0")


def test_samples_that_bring_their_rate(model, wavs, samples, hotwords, expected):
    low = soundfile.read(wavs[1], dtype="float32")
    for source in (
        (samples, 16000),
        (16000, samples),
        (torch.from_numpy(samples)[None], 16000),
        {"array": samples, "sampling_rate": 16000, "path": None},
    ):
        for data in (source, [source], [source, low]):
            results = model.generate(data, hotwords=hotwords, fs=48000)
            assert_same(results[0], expected, "audio_0")
            assert len(results) == (1 if data is source else len(data))
    results = model.generate([{"path": wavs[0], "bytes": None}], hotwords=hotwords)
    assert_same(results[0], expected, Path(wavs[0]).stem)
    with pytest.raises(DataError, match="sampled at 5 Hz"):  # one utterance, so it raises
        model.generate((samples, 5))


def test_iterables_of_paths(model, wavs):
    wanted = model.generate(wavs[:3])
    for make in (iter, np.array, tuple, dict.fromkeys):
        data = make(wavs[:3])
        assert model.generate(data.keys() if isinstance(data, dict) else data) == wanted
    assert model.generate(each for each in wavs[:3]) == wanted
    assert model.generate(np.array([Path(each) for each in wavs[:3]], dtype=object)) == wanted
    with pytest.raises(DataError, match="got an empty list"):
        model.generate(iter(()))


def test_no_bytes_of_another_file_become_a_text(model, wavs, tmp_path):
    page = b"<html><body>not found</body></html>"
    results = model.generate([page, wavs[0], b"PK\x03\x04" + bytes(4000)])
    assert "audio_0: audio: not readable as audio (Format not recognised)" in results[0]["error"]
    assert "it is an HTML page" in results[0]["error"] and "a ZIP archive" in results[2]["error"]
    assert "error" not in results[1]


def test_raw_files(model, samples, wavs, expected, hotwords, tmp_path):
    pcm = np.round(samples * 32768).clip(-32768, 32767).astype("<i2").tobytes()
    (tmp_path / "talk.raw").write_bytes(pcm)
    assert_same(model.generate(tmp_path / "talk.raw", fs=16000, hotwords=hotwords)[0], expected, "talk")
    (tmp_path / "wav.scp").write_text(
        f"bad {tmp_path}/talk.raw\ngood {wavs[0]}\ncommand cat {wavs[0]} |\ns3 s3://bucket/a.wav\n"
    )
    bad, good, command, s3 = model.generate(tmp_path / "wav.scp", hotwords=hotwords)
    assert re.search(r"^bad: audio .*talk\.raw: not readable as audio .*need fs=$", bad["error"])
    assert_same(good, expected, "good")
    assert command["error"].endswith("a command, expected an audio file; run it and store its output")
    assert "the scheme s3: is not known" in s3["error"]


def test_lists_by_file_url_and_home(model, wavs, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "wav.scp").write_text(f"one {wavs[0]}\n")
    wanted = model.generate(tmp_path / "wav.scp")
    assert model.generate("~/wav.scp") == model.generate((tmp_path / "wav.scp").as_uri()) == wanted


@pytest.mark.parametrize("fs", ["8000", 5, 8000.5, [8000], True])
def test_rates_are_named_with_their_type(fs, model, samples):
    sentence = f"fs: expected a whole number from 1000 to 768000 (Hz), got {fs!r} ({type(fs).__name__})"
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        model.generate(samples, fs=fs)


def test_the_shell_reads_pipes(model_dir, wavs, shell, start_shell, tmp_path):
    import os

    fifo = tmp_path / "pipe.wav"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(Path(wavs[0]).read_bytes()))
    writer.start()
    with open(wavs[0], "rb") as stdin:
        command = [f"+model={model_dir}", f"+input=[-,{fifo},none/*.wav]"]
        process = start_shell(*command, stdin=stdin)
        stdout, stderr = process.communicate(timeout=300)
    writer.join()
    assert '"key": "stdin"' in stdout and '"key": "pipe"' in stdout and process.returncode == 1
    assert "a pattern, which only the shell reads" in stderr and "Traceback" not in stderr


def test_standard_input_may_be_named_by_its_path(model, wavs, expected):
    with subprocess.Popen(["cat", wavs[0]], stdout=subprocess.PIPE) as process:
        result = model.generate(f"/dev/fd/{process.stdout.fileno()}")[0]
    assert "error" not in result
