import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from funasr_sap.data.kaldi import read_biasing_list, read_kaldi, write_biasing_list, write_kaldi
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.inputs import resolve_hotwords


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
    given = model.generate(speech_dir / "data.jsonl", hotwords=["photosynthesis"])
    assert all(result["keywords"] == ["photosynthesis"] for result in given)


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


@pytest.mark.parametrize("count", [1, 3])
def test_one_list_of_hotwords_for_all(count, model, wavs, hotwords, tmp_path):
    three = hotwords[:3]
    (tmp_path / "words.txt").write_text("\n".join(three), encoding="utf-8-sig")
    (tmp_path / "words").write_text("\r\n".join(three) + "\r\n", encoding="utf-8")
    files = [str(tmp_path / "words.txt"), tmp_path / "words"]
    texts = [",".join(three), ", ".join(three), "\n".join(three), "\n".join(three) + "\n"]
    for given in [three, tuple(three), np.array(three), *texts, *files]:
        for result in model.generate(wavs[:count], hotwords=given):
            assert result["keywords"] == three


def test_hotword_is_the_older_name(model, wavs, hotwords, tmp_path):
    three = hotwords[:3]
    (tmp_path / "words.txt").write_text("\n".join(three), encoding="utf-8")
    for given in (" ".join(three), str(tmp_path / "words.txt"), three):
        assert model.generate(wavs[0], hotword=given)[0]["keywords"] == three
    with pytest.raises(DataError, match="got hotword as well"):
        model.generate(wavs[0], hotword="a", hotwords=["b"])


def test_hotwords_for_each(model, speech_dir, speech_wavs, wavs, tmp_path):
    lists = [list(each.hotwords) for each in speech_wavs]
    table = {each.key: list(each.hotwords) for each in speech_wavs}
    (tmp_path / "lists.jsonl").write_text(
        "\n".join(json.dumps({"key": key, "hotwords": words}) for key, words in table.items()),
        encoding="utf-8",
    )
    wanted = model.generate(wavs, hotwords=lists)
    for result, utterance in zip(wanted, speech_wavs, strict=True):
        assert result["keywords"] and set(result["keywords"]) <= set(utterance.hotwords)
    reversed_table = dict(reversed(table.items()))
    files = [str(speech_dir / "biasing_list"), speech_dir / "biasing_list", tmp_path / "lists.jsonl"]
    for given in [
        table,
        reversed_table,
        tuple(map(tuple, lists)),
        [",".join(each) for each in lists[:-1]] + lists[-1:],
        *files,
    ]:
        assert model.generate(wavs, hotwords=given) == wanted
    pair = (str(speech_dir / "wav.scp"), str(speech_dir / "biasing_list"))
    assert model.generate(pair, data_type=("sound", "text")) == wanted
    assert model.generate((wavs, lists), data_type=["sound", "text"]) == wanted
    assert model.generate((wavs, ["$".join(each) for each in lists]), data_type=("sound", "text")) == wanted


def test_empty_lists_for_each(model, wavs, hotwords, tmp_path):
    keys = [Path(wav).stem for wav in wavs[:2]]
    write_biasing_list(tmp_path / "lists", {key: [] for key in keys})
    for given in (None, [], "", [[], []], tmp_path / "lists", {key: None for key in keys}):
        assert [result["keywords"] for result in model.generate(wavs[:2], hotwords=given)] == [[], []]
    results = model.generate(wavs[:2], hotwords=[[], hotwords[:2]])
    assert [result["keywords"] for result in results] == [[], hotwords[:2]]


def test_a_file_of_keywords_that_begins_like_an_utterance(model, wavs, tmp_path):
    shutil.copy(wavs[0], tmp_path / "water.wav")
    (tmp_path / "words.txt").write_text("water\nsteam engine\n", encoding="utf-8")
    result = model.generate(tmp_path / "water.wav", hotwords=tmp_path / "words.txt")[0]
    assert result["keywords"] == ["water", "steam engine"]


def test_lists_that_do_not_fit_are_refused(model, speech_dir, wavs, tmp_path):
    lists = read_biasing_list(speech_dir / "biasing_list")
    first = next(iter(lists))
    write_biasing_list(tmp_path / "others", {f"other-{key}": words for key, words in lists.items()})
    write_biasing_list(tmp_path / "fewer", {key: words for key, words in lists.items() if key != first})
    for given, message in (
        ([["a"], ["b"]], "hotwords: got 2 biasing lists for 12 utterance"),
        (tmp_path / "others", f"no biasing list for 12 utterance(s), first {first!r}"),
        (str(tmp_path / "fewer"), f"no biasing list for 1 utterance(s), first {first!r}"),
        ({}, "no biasing list for 12 utterance"),
    ):
        with pytest.raises(DataError, match=re.escape(message)):
            model.generate(wavs, hotwords=given)
    for data, words in (((wavs,), None), (wavs[0], None), ((wavs, ["a"]), ["b"])):
        with pytest.raises(DataError, match=r"input: expected \(audio, biasing lists\) alone"):
            model.generate(data, data_type=("sound", "text"), hotwords=words)
    with pytest.raises(ConfigError, match="data_type"):
        model.generate((wavs, wavs), data_type=("text", "sound"))


def test_a_list_that_utterances_share_is_read_once():
    words, other = ["leaf"], ["light"]
    lists = resolve_hotwords([words, other, words], ["a", "b", "c"])
    assert lists == [["leaf"], ["light"], ["leaf"]] and lists[0] is lists[2]
    lists = resolve_hotwords({"a": words, "b": words}, ["a", "b"])
    assert lists[0] is lists[1]
