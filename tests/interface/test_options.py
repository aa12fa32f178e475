"""What users pass to AutoModel and to generate: right forms are taken, wrong ones are one sentence."""

import logging
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from funasr_sap.errors import ConfigError
from funasr_sap.registration import EMBEDDED

SILERO = {"vad_model": "silero-vad"}


@pytest.fixture(scope="module")
def embedded():
    from funasr_sap import AutoModel

    return AutoModel(model="sap2-tiny", ncpu=1, disable_pbar=True, log_level="WARNING")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "device: expected cpu, cuda, cuda:0, mps, xpu or npu, got 'gpu'"),
        ({"device": ""}, "device: expected .* got ''"),
        ({"device": None}, "device: expected .* got None"),
        ({"log_level": "loud"}, "log_level: expected one of DEBUG, .* got 'loud'"),
        ({"fp16": "maybe"}, "fp16: expected true or false, got 'maybe'"),
        ({"ncpu": "four"}, "ncpu: expected a whole number of threads above 0, got 'four'"),
        ({"batch_size_s": "abc"}, "batch_size_s: expected a number of seconds of at least 0, got 'abc'"),
        ({"merge_vad": "yes"}, "merge_vad: expected true or false"),
        ({"output_dir": 7}, "output_dir: expected a path, got 7"),
        ({"model_conf": "x"}, "model_conf: expected a mapping of keys"),
        ({"hub": "xx"}, "hub: expected ms .* or hf .*, got 'xx'"),
        ({"vad_kwargs": "x"}, "vad_kwargs: expected a mapping"),
        ({"vad_kwargs": {"x": 1}}, "vad_kwargs: options of a vad_model, and none is given"),
        ({**SILERO, "vad_kwargs": {"x": 1}}, "vad_kwargs: unknown key 'x'"),
        (
            {**SILERO, "vad_kwargs": {"max_single_segmnt_time": 1}},
            "unknown key 'max_single_segmnt_time' .did you mean 'max_single_segment_time'",
        ),
        ({**SILERO, "vad_kwargs": {"silero_threshold": "abc"}}, "silero_threshold: expected a number"),
        ({**SILERO, "vad_kwargs": {"silero_sampling_rate": 44100}}, "expected 8000 or 16000 Hz, got 44100"),
        ({"model": "Paraformer-XL"}, "'Paraformer-XL' is neither a known name nor a model directory"),
        ({"model": "SenseVoiceSmall"}, "'SenseVoiceSmall' is the name of a class, which is built from"),
        ({"model": ["sap2"]}, "expected a name or a model directory, got"),
    ],
)
def test_wrong_options_of_a_model(options, message, model_dir):
    from funasr_sap import AutoModel

    with pytest.raises(ConfigError, match=message):
        AutoModel(**{"model": model_dir, "ncpu": 1, **options})


@pytest.mark.parametrize("kind", ["model", "vad_model", "punc_model", "spk_model"])
@pytest.mark.parametrize("hub", ["ms", "hf"])
def test_a_hub_out_of_reach_is_said_at_once(kind, hub, model_dir, monkeypatch, tmp_path):
    from funasr_sap import AutoModel

    monkeypatch.setenv("MODELSCOPE_DOMAIN", "127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path))
    started = time.monotonic()
    with pytest.raises(
        ConfigError, match=rf"^{kind}: 'fsmn-vad' .* hub .{hub}. is out of reach; give the path"
    ):
        AutoModel(**{"model": model_dir, "hub": hub, kind: "fsmn-vad"})
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("name", ["SAP2", "Sap-2", "sap2_tiny", "SAP2-Tiny", Path(EMBEDDED["sap2"])])
def test_names_of_the_embedded_model(name, embedded, wavs):
    from funasr_sap import AutoModel

    named = AutoModel(model=name, ncpu=1, disable_pbar=True)
    assert named.generate(wavs[0]) == embedded.generate(wavs[0])


def test_paths_are_paths(model_dir, wavs, tmp_path):
    from funasr_sap import AutoModel

    built = AutoModel(
        model=Path(model_dir), vad_model=Path("silero-vad"), ncpu=1, index_dir=tmp_path / "index"
    )
    built.generate(Path(wavs[0]), output_dir=tmp_path / "out", hotwords=["one"])
    assert (tmp_path / "out/1best_recog/text").is_file()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_said(model_dir, caplog):
    from funasr_sap import AutoModel

    AutoModel(model=model_dir, device="cuda:0", ncpu=1)
    said = [each.getMessage() for each in caplog.records if each.name == "funasr_sap.arguments"]
    assert said == ["device: there is no cuda:0 here; the model runs on the cpu"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"batch_size": "4"}, r"batch_size: expected a whole number above 0, got '4' \(a string\)"),
        ({"batch_size": True}, "batch_size: expected a whole number above 0, got True"),
        ({"top": "4"}, r"top: expected a whole number of keywords above 0, got '4' \(a string\)"),
        ({"threshold": "0.5"}, r"threshold: expected a confidence from 0 to 1, got '0.5' \(a string\)"),
        ({"use_llm": "no"}, "use_llm: expected true or false, got 'no'"),
        ({"guards": {"silence": "x"}}, "guards.silence: expected a number, got 'x'"),
        ({"progress_callback": 3}, "progress_callback: expected a function"),
        ({"index_dir": 3}, "index_dir: expected a path, got 3"),
        ({"device": "gpu"}, "device: expected .* got 'gpu'"),
        ({"merge_length_s": -1}, "merge_length_s: expected a number of seconds of at least 1, got -1"),
        ({"cache": {"tail": 1}}, "^cache: SAP² recognises whole utterances"),
        ({"is_final": False}, "^is_final=False: SAP² recognises whole utterances"),
        ({"chunk_size": [0, 10, 5]}, "^chunk_size: SAP² recognises whole utterances"),
        ({"postprocess_hotwords": ["one"]}, "^postprocess_hotwords: .* pass the words as hotwords="),
        ({"postprocess_hotword_file": "words.txt"}, "^postprocess_hotword_file: "),
    ],
)
def test_wrong_options_of_a_call(option, message, model, wavs):
    with pytest.raises(ConfigError, match=message):
        model.generate(wavs[0], **option)


def test_numbers_of_any_kind(model, wavs, hotwords):
    expected = model.generate(wavs, hotwords=hotwords, top=2, batch_size=4, threshold=0.5)
    for number in (np.int64, float, np.float32):
        options = {"top": number(2), "batch_size": number(4), "threshold": np.float32(0.5)}
        assert model.generate(wavs, hotwords=hotwords, **options) == expected
    assert model.generate(wavs, cache={}, is_final=True, postprocess_hotwords=None) == model.generate(wavs)


def test_a_threshold_is_compared_with_what_is_printed(embedded, speech_wavs):
    """A keyword whose printed score is the threshold is kept."""
    wavs, words = [each.source for each in speech_wavs], [list(each.keywords) for each in speech_wavs]
    scores = [each["keyword_scores"] for each in embedded.generate(wavs, hotwords=words, rescore=False)]
    printed = [(place, max(row)) for place, row in enumerate(scores) if row]
    assert printed
    for place, score in printed:
        options = {"hotwords": words[place], "rescore": False, "threshold": score}
        assert score in embedded.generate(wavs[place], **options)[0]["keyword_scores"]


def test_a_model_knows_its_languages(embedded, wavs):
    from funasr_sap import AutoModel

    expected = embedded.generate(wavs[0])
    for language in ("en", "auto", None):
        assert embedded.generate(wavs[0], language=language) == expected
    for language in ("zh", "fr", 7):
        with pytest.raises(ConfigError, match=f"language: expected one of en, got {language!r}"):
            embedded.generate(wavs[0], language=language)
    with pytest.raises(ConfigError, match="language: expected one of en, got 'zh'"):
        AutoModel(model="sap2", language="zh", ncpu=1).generate(wavs[0])


def test_long_audio_is_warned_of_once_a_call(embedded, wavs, caplog):
    quiet = np.zeros(16000 * 21, np.float32)
    with caplog.at_level(logging.WARNING):
        embedded.generate([quiet, quiet, wavs[0]], batch_size=1)
    said = [each.getMessage() for each in caplog.records if each.name == "funasr_sap.recogniser"]
    assert len(said) == 1
    assert said[0].startswith(
        "audio_0: 21 s of audio, and this model knows at most 10 s; cut it by AutoModel("
    )
    caplog.clear()
    embedded.generate(wavs[:3])
    assert not caplog.records


@pytest.mark.parametrize("option", ["output_dir", "index_dir"])
@pytest.mark.parametrize("place", ["file", "file/x", "a\0b", "x" * 400])
def test_folders_that_cannot_be_made(option, place, embedded, wavs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=f"{option}: cannot make the folder"):
        embedded.generate(wavs[0], **{option: tmp_path / place})


def test_numbers_too_large_for_a_machine(embedded, wavs):
    assert len(embedded.generate(wavs[0], batch_size_s=10**30)) == 1
