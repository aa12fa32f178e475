import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from funasr_sap.data.kaldi import read_kaldi, write_kaldi
from funasr_sap.errors import DataError
from funasr_sap.inputs import read_requests
from funasr_sap.request import Request


@pytest.fixture(scope="module")
def expected(model, wavs, hotwords):
    """The first utterance's result, from its path."""
    return model.generate(wavs[0], hotwords=hotwords)[0]


def pcm16(samples) -> np.ndarray:
    return np.round(samples * 32768).clip(-32768, 32767).astype("<i2")


def assert_same(result, wanted, key="audio_0"):
    assert result["key"] == key
    assert result["keyword_scores"] == pytest.approx(wanted["keyword_scores"], abs=2e-4)
    for field in ("text", "keywords", "timestamp"):
        assert result[field] == wanted[field]


def test_a_path(model, wavs, hotwords, expected):
    assert expected["key"] == Path(wavs[0]).stem
    for path in (Path(wavs[0]), [wavs[0]], [Path(wavs[0])], (wavs[0],)):
        results = model.generate(path, hotwords=hotwords)
        assert len(results) == 1
        assert_same(results[0], expected, expected["key"])


def test_a_wav_scp(model, speech_dir, speech_wavs, wavs, hotwords):
    results = model.generate(str(speech_dir / "wav.scp"), hotwords=hotwords)
    assert [result["key"] for result in results] == [each.key for each in speech_wavs]
    assert results == model.generate(wavs, hotwords=hotwords)


def test_chatml_lines_bring_their_hotwords(model, speech_dir, speech_wavs):
    results = model.generate(speech_dir / "data.jsonl")
    for result, utterance in zip(results, speech_wavs, strict=True):
        assert result["key"] == utterance.key
        assert result["keywords"] and set(result["keywords"]) <= set(utterance.hotwords)
    assert model.generate(speech_dir / "data.jsonl", hotwords=["photosynthesis"]) == results


def test_funasrs_lines(model, speech_wavs, tmp_path):
    lines = [json.dumps({"key": each.key, "source": each.source}) for each in speech_wavs]
    (tmp_path / "data.jsonl").write_text("\n".join(lines), encoding="utf-8")
    results = model.generate(tmp_path / "data.jsonl")
    assert [result["key"] for result in results] == [each.key for each in speech_wavs]


@pytest.mark.parametrize("make", [bytes, bytearray, io.BytesIO])
def test_the_bytes_of_a_file(make, model, wavs, hotwords, expected):
    data = Path(wavs[0]).read_bytes()
    assert_same(model.generate(make(data), hotwords=hotwords)[0], expected)
    assert_same(model.generate([make(data)], hotwords=hotwords)[0], expected)


def test_raw_pcm(model, samples, hotwords, expected):
    data = pcm16(samples).tobytes()
    assert_same(model.generate(data, hotwords=hotwords)[0], expected)
    assert_same(model.generate(data, hotwords=hotwords, fs=16000)[0], expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda samples: samples,
        lambda samples: samples.astype(np.float64),
        pcm16,
        torch.from_numpy,
        lambda samples: torch.from_numpy(pcm16(samples)),
        lambda samples: samples[None],
        lambda samples: np.stack([samples] * 2),  # stereo
        lambda samples: torch.from_numpy(np.stack([samples] * 8, 1)),  # 8 channels, last
        lambda samples: samples.tolist(),
        list,  # of np.float32
    ],
)
def test_samples(make, model, samples, hotwords, expected):
    assert_same(model.generate(make(samples), hotwords=hotwords)[0], expected)


@pytest.mark.parametrize("rate", [8000, 11127, 44100, 96000])
def test_samples_of_another_rate(rate, model, samples, wavs, tmp_path):
    import soxr

    resampled = soxr.resample(samples, 16000, rate)
    given = model.generate(resampled, fs=rate)[0]
    soundfile.write(tmp_path / "a.wav", resampled, rate, "FLOAT")
    assert_same(given, model.generate(tmp_path / "a.wav")[0])
    assert_same(
        model.generate(pcm16(resampled).tobytes(), fs=rate)[0], model.generate(pcm16(resampled), fs=rate)[0]
    )


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"),
    [(8000, 1, "PCM_16"), (96000, 2, "PCM_24"), (16000, 8, "PCM_16"), (44100, 2, "FLOAT")],
)
def test_files_of_every_kind(rate, channels, subtype, model, samples, hotwords, tmp_path):
    import soxr

    path = tmp_path / "talk.wav"
    soundfile.write(path, np.stack([soxr.resample(samples, 16000, rate)] * channels, 1), rate, subtype)
    result = model.generate(path, hotwords=hotwords)[0]
    assert result["key"] == "talk" and result["keywords"]


def test_24_bits_are_16_bits(model, samples, hotwords, expected, tmp_path):
    soundfile.write(tmp_path / "a.wav", samples, 16000, "PCM_24")
    assert_same(model.generate(tmp_path / "a.wav", hotwords=hotwords)[0], expected, "a")


def test_a_url(model, server, wavs, hotwords, expected):
    folder, address = server
    shutil.copy(wavs[0], folder / "talk.wav")
    shutil.copy(wavs[0], folder / "讲座 1.wav")
    assert_same(model.generate(f"{address}/talk.wav", hotwords=hotwords)[0], expected, "talk")
    results = model.generate([f"{address}/讲座 1.wav", f"{address}/talk.wav?id=a/b.c"], hotwords=hotwords)
    assert [result["key"] for result in results] == ["讲座_1", "talk"]
    for result in results:
        assert_same(result, expected, result["key"])


def test_a_url_in_a_wav_scp(model, server, wavs, tmp_path):
    folder, address = server
    shutil.copy(wavs[0], folder / "a.wav")
    write_kaldi(tmp_path / "wav.scp", {"one": f"{address}/a.wav", "two": f"{address}/none.wav"})
    one, two = model.generate(tmp_path / "wav.scp")
    assert "error" not in one
    assert (
        two["error"]
        == f"two: audio {address}/none.wav: cannot be downloaded (HTTP Error 404: File not found)"
    )


def test_a_list_may_mix_kinds(model, wavs, samples):
    data = [wavs[0], samples, pcm16(samples).tobytes(), torch.from_numpy(samples), Path(wavs[1])]
    keys = [result["key"] for result in model.generate(data)]
    assert keys == [Path(wavs[0]).stem, "audio_1", "audio_2", "audio_3", Path(wavs[1]).stem]


def test_keys_are_such_that_files_can_hold_them(model, wavs, tmp_path):
    paths = [tmp_path / name for name in ("a/my talk.wav", "b/my talk.wav", "b/{x}.wav", "b/讲座.wav")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        shutil.copy(wavs[0], path)
    results = model.generate(paths, output_dir=tmp_path / "out")
    keys = [result["key"] for result in results]
    assert keys == ["my_talk", "my_talk_2", "_x}", "讲座"]
    assert set(read_kaldi(tmp_path / "out/1best_recog/text", allow_empty=True)) == set(keys)


def test_keys_of_a_call_name_its_utterances(model, wavs, samples, hotwords):
    assert model.generate(samples, key=["talk"])[0]["key"] == "talk"
    assert model.generate(wavs[0], key="talk")[0]["key"] == "talk"
    lists = {"one": hotwords[:1], "two": hotwords[1:2]}
    results = model.generate([samples, wavs[1]], key=["one", "two"], hotwords=lists)
    assert {result["key"]: result["keywords"] for result in results} == lists
    for key, message in (
        (["a", "b"], "key: got 2 distinct id(s) for 1 utterance(s)"),
        ([1], "key: expected a list of utterance ids, got [1]"),
        (["a b"], "key: 'a b' cannot be an id"),
    ):
        with pytest.raises(DataError, match=re.escape(message)):
            model.generate(samples, key=key)
    with pytest.raises(DataError, match="key: got 1 distinct"):
        model.generate(wavs[:2], key=["a", "a"])


def test_requests_among_other_audio_keep_what_they_bring():
    samples = np.zeros(8000, np.float32)
    given = [Request("a", samples, ["leaf"], 8000), "talks/a.wav", samples]
    found = read_requests(given, hotwords=["root"], sample_rate=16000)
    assert [(each.key, each.hotwords, each.sample_rate) for each in found] == [
        ("a", ["leaf"], 8000),
        ("a_2", ["root"], 16000),
        ("audio_2", ["root"], 16000),
    ]
    assert read_requests(given[:1])[0].sample_rate == 8000


def test_a_text_that_is_no_path_gives_no_id():
    assert read_requests("QUJD" * 500)[0].key == "audio_0"
