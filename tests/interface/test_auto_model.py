import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.data.processes import count_cpus
from funasr_sap.decoding.options import PRUNE_MODES
from funasr_sap.decoding.result import FoundKeyword, Result, Word
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.recogniser import _warn_of_itn

ROOT = Path(__file__).parents[2]
RESULT_KEYS = ["key", "text", "keywords", "keyword_scores", "timestamp", "words", "keyword_details"]


def test_results_have_their_fields(model, wavs, hotwords):
    for result in model.generate(wavs, hotwords=hotwords):
        assert list(result) == RESULT_KEYS
        assert isinstance(result["text"], str)
        assert 0 < len(result["keywords"]) == len(result["keyword_scores"])
        assert set(result["keywords"]) <= set(hotwords)
        assert all(0 <= score <= 1 for score in result["keyword_scores"])
        assert "\n" not in result["text"]
        json.dumps(result)


def test_timestamps_rise_inside_the_audio(speech_wavs):
    from funasr_sap import AutoModel

    results = AutoModel(model="sap2", ncpu=1).generate([each.source for each in speech_wavs])
    assert all(result["timestamp"] for result in results)
    for result, utterance in zip(results, speech_wavs, strict=True):
        times = [time for word in result["timestamp"] for time in word]
        assert times == sorted(times)
        assert all(0 <= time <= 10 * (utterance.speech_length + 1) for time in times)


def test_the_last_frame_may_reach_beyond_the_audio_but_no_time_does():
    words = (Word("a", 0.0, 0.96), Word("b", 0.96, 1.02))
    result = Result("u", "a b", words, (FoundKeyword("b", 0.9, 1, ((0.96, 1.02),)),)).clip(1.01)
    assert result.to_funasr()["timestamp"] == [[0, 960], [960, 1010]]
    assert result.keywords[0].times == ((0.96, 1.01),)


def test_order_is_kept_whatever_the_lengths(model, speech_wavs):
    by_length = sorted(speech_wavs, key=lambda each: each.speech_length)
    for order in (by_length, by_length[::-1], speech_wavs):
        results = model.generate([each.source for each in order], batch_size=3)
        assert [result["key"] for result in results] == [each.key for each in order]


def test_batches_give_what_singles_give(model, wavs, hotwords):
    singles = [model.generate(wav, hotwords=hotwords)[0] for wav in wavs]
    for batch_size in (1, 5, 16):
        for single, result in zip(
            singles, model.generate(wavs, hotwords=hotwords, batch_size=batch_size), strict=True
        ):
            assert result["keyword_scores"] == pytest.approx(single["keyword_scores"], abs=2e-4)
            assert {**result, "keyword_scores": 0} == {**single, "keyword_scores": 0}


@pytest.mark.parametrize("prune", PRUNE_MODES)
def test_every_way_of_pruning(prune, model, wavs, hotwords):
    result = model.generate(wavs[0], hotwords=hotwords, prune=prune)[0]
    assert [key for key in result if key != "cut"] == RESULT_KEYS
    kept = result["keywords"]
    assert kept == [word for word in hotwords if word in kept]
    if prune == "none":
        assert kept == hotwords
    elif prune == "retrieval":
        assert len(kept) == 5


def test_retrieval_options(model, wavs, hotwords):
    assert len(model.generate(wavs[0], hotwords=hotwords, top=2)[0]["keywords"]) == 2
    assert len(model.generate(wavs[0], hotwords=hotwords, top=99)[0]["keywords"]) == len(hotwords)
    assert model.generate(wavs[0], hotwords=hotwords, threshold=1.0)[0]["keywords"] == []


@pytest.mark.parametrize("language", ["en", "zh", "auto", None])
def test_languages(language, model, wavs, hotwords):
    assert model.generate(wavs[0], hotwords=hotwords, language=language)[0]["keywords"]


def test_itn_is_accepted_and_said_to_do_nothing(model, wavs, caplog):
    _warn_of_itn.cache_clear()
    plain = model.generate(wavs, batch_size=5)
    assert not caplog.records
    assert model.generate(wavs, itn=True, batch_size=5) == plain
    assert [record.getMessage()[:9] for record in caplog.records] == ["itn=True:"]
    model.generate(wavs[0], itn=False, use_itn=False)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"prunee": "llm"}, "unknown key 'prunee' .did you mean 'prune'"),
        ({"hotwordss": ["a"]}, "did you mean 'hotwords'"),
        ({"model": "sap2"}, "unknown key 'model'"),
        ({"prune": "best"}, "prune: expected one of llm, retrieval, none, joint, got 'best'"),
        ({"language": "fr"}, "language: expected one of en, zh, got 'fr'"),
        ({"top": 0}, "top: expected a whole number of keywords above 0, got 0"),
        ({"top": "many"}, "got 'many'"),
        ({"threshold": "low"}, "threshold: expected a confidence from 0 to 1, got 'low'"),
        ({"batch_size": 0}, "batch_size: expected a whole number above 0, got 0"),
        ({"batch_size": 2.5}, "got 2.5"),
        ({"fs": 0}, r"fs: expected a whole number from 1000 to 768000 \(Hz\), got 0"),
        ({"data_type": "fbank"}, "data_type: expected \"sound\" or .* got 'fbank'"),
    ],
)
def test_wrong_options(option, message, model, wavs):
    with pytest.raises(ConfigError, match=message):
        model.generate(wavs[0], **option)


def test_one_call_leaves_nothing_to_the_next(model, wavs, hotwords):
    before = model.generate(wavs)
    model.generate(wavs, hotwords=hotwords, prune="none", language="zh", top=1, batch_size=2)
    assert model.generate(wavs) == before
    assert not any(result["keywords"] for result in before)


def test_options_of_the_model_are_defaults_of_its_calls(model_dir, wavs, hotwords, tmp_path):
    from funasr_sap import AutoModel

    built = AutoModel(
        model=model_dir, ncpu=1, disable_pbar=True, hotwords=hotwords, top=2, output_dir=str(tmp_path)
    )
    assert len(built.generate(wavs[0])[0]["keywords"]) == 2
    assert len(built.generate(wavs[0], hotwords=hotwords[:1])[0]["keywords"]) == 1
    assert len(built.generate(wavs[0], top=3)[0]["keywords"]) == 3
    assert (tmp_path / "1best_recog/text").is_file()


def test_progress_is_reported(model, wavs):
    calls = []
    model.generate(wavs, batch_size=5, progress_callback=lambda *done: calls.append(done))
    assert calls == [(5, 12), (10, 12), (12, 12)]


def test_output_files(model, wavs, hotwords, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_text("not audio")
    results = model.generate([*wavs, bad], hotwords=hotwords, output_dir=tmp_path / "out")
    folder = tmp_path / "out/1best_recog"
    assert sorted(os.listdir(folder)) == ["errors", "keywords", "score", "text", "time_stamp"]
    good = {result["key"]: result for result in results[:-1]}
    text = read_kaldi(folder / "text", allow_empty=True)
    assert text == {key: result["text"] for key, result in good.items()}
    assert read_biasing_list(folder / "keywords") == {key: each["keywords"] for key, each in good.items()}
    for name, field in (("score", "keyword_scores"), ("time_stamp", "timestamp")):
        values = {key: json.loads(value) for key, value in read_kaldi(folder / name).items()}
        assert values == {key: result[field] for key, result in good.items()}
    assert read_kaldi(folder / "errors") == {"bad": results[-1]["error"]}


def test_an_output_folder_that_cannot_be_made_is_an_error_before_the_work(model, wavs, tmp_path):
    (tmp_path / "file").write_text("mine")
    calls = []
    with pytest.raises(ConfigError, match=r"output_dir: cannot make the folder .*file"):
        model.generate(wavs, output_dir=tmp_path / "file", progress_callback=lambda *done: calls.append(done))
    assert not calls and (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "sap3"}, "model: 'sap3' is neither a known name nor a model directory; did you mean sap2"),
        ({"model": "/none/such"}, "model: '/none/such' is neither"),
        ({"model": "./none/such"}, "is neither"),
        ({"model": 7}, "expected a name or a model directory, got 7"),
        ({"vad_model": "silro-vad"}, "vad_model: 'silro-vad' is neither"),
        ({"retreival_conf": {"top": 3}}, "unknown key 'retreival_conf' .did you mean 'retrieval_conf'"),
        ({"retrieval_conf": {"topp": 3}}, "retrieval_conf: unknown key 'topp' .did you mean 'top'"),
        ({"model_conf": {"ctc_weight": 0.3}}, "model_conf: FunASR takes it with a model's class only"),
    ],
)
def test_wrong_models_and_configurations(options, message, model_dir):
    from funasr_sap import AutoModel

    with pytest.raises(ConfigError, match=message):
        AutoModel(**{"model": model_dir, "ncpu": 1, **options})


def test_wrong_model_directories(model_dir, tmp_path):
    from funasr_sap import AutoModel

    def expect(message):
        with pytest.raises(ConfigError, match=message):
            AutoModel(model=str(folder), ncpu=1)

    folder = tmp_path / "model"
    folder.mkdir()
    expect("holds no config.yaml; expected a model directory")
    shutil.copytree(model_dir, folder, dirs_exist_ok=True)
    (folder / "model.pt").unlink()
    expect("no weights in .*model; expected model.pt")
    weights = Path(model_dir, "model.pt").read_bytes()
    for damaged in (weights[:-1000], b"no weights at all", b""):
        (folder / "model.pt").write_bytes(damaged)
        expect("init_param: .*model.pt is damaged, or no weights")
    (folder / "model.pt").write_bytes(weights)
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "model": "SAP9"}), encoding="utf-8")
    expect("model 'SAP9' is not registered with FunASR; expected")
    (folder / "config.yaml").write_text("model: [SAP2\n", encoding="utf-8")
    expect(r"config\.yaml is not YAML")


def test_funasrs_own_auto_model(model, model_dir, wavs, hotwords):
    import funasr

    own = funasr.AutoModel(model=model_dir, ncpu=1, disable_update=True, disable_pbar=True)
    expected = model.generate(wavs, hotwords=hotwords)
    results = own.generate(wavs, hotwords=hotwords)  # batches of one, FunASR's default on a CPU
    for result, wanted in zip(results, expected, strict=True):
        assert {**result, "keyword_scores": pytest.approx(result["keyword_scores"], abs=2e-4)} == wanted
    for given in ({"hotword": " ".join(hotwords[:3])}, {"hotwords": ",".join(hotwords[:3])}):
        assert own.generate(wavs[0], **given)[0]["keywords"] == hotwords[:3]
    table = {Path(wav).stem: [word] for wav, word in zip(wavs, hotwords, strict=False)}
    results = own.generate(wavs[: len(table)], hotwords=table, batch_size=3)
    assert [result["keywords"] for result in results] == list(table.values())
    assert "no such file" in own.generate(["/none.wav"])[0]["error"]
    with pytest.raises(DataError, match="got int"):
        own.generate(wavs[0], hotwords=7)


def test_funasrs_own_pairs_of_lists(model_dir, speech_dir, speech_wavs, tmp_path):
    import funasr

    own = funasr.AutoModel(model=model_dir, ncpu=1, disable_update=True, disable_pbar=True)
    lists = shutil.copy(speech_dir / "biasing_list", tmp_path / "biasing_list.txt")  # FunASR asks for .txt
    data = (str(speech_dir / "wav.scp"), str(lists))
    for utterance, result in zip(speech_wavs, own.generate(data, data_type=("sound", "text")), strict=True):
        assert result["keywords"] and set(result["keywords"]) <= set(utterance.hotwords)


def test_importing_the_package_registers_the_model(model_dir, wavs):
    code = """
import sys, funasr_sap
assert "funasr" not in sys.modules and "torch" not in sys.modules  # they take seconds
from funasr import AutoModel
from funasr.download.name_maps_from_hub import name_maps_hf, name_maps_ms
assert name_maps_ms["sap2"] == name_maps_hf["sap2"]
result = AutoModel(model=sys.argv[1], disable_update=True).generate(sys.argv[2], hotwords=["photosynthesis"])
assert result[0]["keywords"] == ["photosynthesis"], result
"""
    command = [sys.executable, "-c", code, model_dir, wavs[0]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_other_models_pass_through(wavs):
    from funasr_sap import AutoModel

    segments = AutoModel(model="silero-vad", ncpu=1, disable_pbar=True).generate(wavs[0])[0]["value"]
    assert segments and all(start < end for start, end in segments)


def test_threads_are_left_to_the_user(model_dir):
    from funasr_sap import AutoModel

    AutoModel(model=model_dir, disable_pbar=True)
    assert torch.get_num_threads() == min(4, count_cpus())
    AutoModel(model=model_dir, disable_pbar=True, ncpu=1)
    assert torch.get_num_threads() == 1
