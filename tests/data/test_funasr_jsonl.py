import importlib.util
import json
import random
import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile

from funasr_sap.data.audio_header import AudioHeader
from funasr_sap.data.funasr_jsonl import FunASRJsonlOptions, scp2funasr_jsonl, source_length, target_length
from funasr_sap.errors import ConfigError, DataError

TOOL = Path(__file__).parents[2] / "tools" / "scp2jsonl.py"
TEXTS = ["two words", "你好世界", "你好 world", "", "tab\there", "wide　blank　", "three  blanks here "]


@pytest.fixture
def data(tmp_path):
    rng = random.Random(0)
    rates = [16000, 8000, 44100, 22050, 48000, 11025, 16000]
    ids = [f"u{number}" for number in rng.sample(range(7), 7)]
    for utt_id, rate in zip(ids, rates, strict=True):
        samples = np.zeros((rng.randrange(300, 9000), 2))
        soundfile.write(tmp_path / f"{utt_id}.{'flac' if rate == 48000 else 'wav'}", samples, rate)
    wavs = {path.stem: path for path in tmp_path.iterdir()}
    (tmp_path / "wav.scp").write_text("".join(f"{utt_id}\t{wavs[utt_id]}\n" for utt_id in ids))
    (tmp_path / "text").write_text("".join(f"u{number} {text}\n" for number, text in enumerate(TEXTS)))
    (tmp_path / "lang").write_text("".join(f"u{number} <|zh|>\n" for number in range(7)))
    return tmp_path


def options(data, names=("wav.scp", "text"), **more):
    return FunASRJsonlOptions([str(data / name) for name in names], str(data / "out.jsonl"), **more)


def funasr_module():
    """Load FunASR's script without the rest of FunASR, which takes long."""
    package = Path(importlib.util.find_spec("funasr").origin).parent
    spec = importlib.util.spec_from_file_location("its", package / "datasets/audio_datasets/scp2jsonl.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("types", [["source", "target"], ["target", "source", "text_language"]])
def test_the_output_is_that_of_funasr(data, types, monkeypatch):
    files = {"source": "wav.scp", "target": "text", "text_language": "lang"}
    names = [files[name] for name in types]
    assert scp2funasr_jsonl(options(data, names, data_type_list=types)) == (7, 0)
    module = funasr_module()
    monkeypatch.setattr(
        module.os, "cpu_count", lambda: 1
    )  # with more, the order of its lines is left to chance
    module.gen_jsonl_from_wav_text_list([str(data / name) for name in names], types, str(data / "theirs"))
    assert (data / "out.jsonl").read_bytes() == (data / "theirs").read_bytes()


def test_lengths():
    assert [
        source_length(AudioHeader(*header)) for header in [(16000, 16000), (159, 16000), (160, 16000)]
    ] == [
        100,
        0,
        1,
    ]
    assert source_length(AudioHeader(44100, 44100)) == 100
    assert [target_length(text) for text in TEXTS[:4]] == [2, 4, 2, 0]


def test_a_missing_partner_is_an_error(data):
    with (data / "text").open("a") as stream:
        stream.write("u9 more\n")
    with pytest.raises(DataError, match=rf"u9: in {data}/text, not in {data}/wav.scp"):
        scp2funasr_jsonl(options(data))


def test_unreadable_audio(data, caplog):
    (data / "u3.wav").write_text("not audio")
    with pytest.raises(DataError, match=r"1 bad line\(s\):\n  u3 .*Format not recognised"):
        scp2funasr_jsonl(options(data))
    assert not (data / "out.jsonl").exists()
    assert scp2funasr_jsonl(options(data, skip_bad=True)) == (6, 1)
    keys = [json.loads(line)["key"] for line in (data / "out.jsonl").open()]
    assert "u3" not in keys and len(keys) == 6
    assert "left out u3" in caplog.text


@pytest.mark.parametrize("types", [["source"], ["target", "text"], ["source", "source"]])
def test_types_must_fit_the_files(data, types):
    with pytest.raises(ConfigError, match="expected as many of each"):
        scp2funasr_jsonl(options(data, data_type_list=types))


def test_tool(data, capsys):
    main = runpy.run_path(str(TOOL))["main"]
    files = json.dumps([str(data / "wav.scp"), str(data / "text")])
    types = '["source", "target"]'
    main([f"++scp_file_list={files}", f"++data_type_list={types}", f"++jsonl_file_out={data}/out.jsonl"])
    assert capsys.readouterr().out == f"{data}/out.jsonl: 7 utterances, 0 left out for unreadable audio\n"
    with pytest.raises(SystemExit):
        main(["++scp_file_list=[]", "--help"])
    assert "jsonl_file_out" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="cannot use"):
        main(["++scp_file_list=wav.scp", "++jsonl_file_out=x"])
