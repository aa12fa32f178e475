"""Long talks through the embedded model and the real silero VAD."""

import numpy as np
import pytest
import soundfile

from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.data.mini_corpus import make_corpus
from funasr_sap.errors import ConfigError

RESULT_KEYS = ["key", "text", "keywords", "keyword_scores", "timestamp", "words", "keyword_details"]
NUM_UTTERANCES = 12


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("talk")
    make_corpus(folder, "test", utterances=NUM_UTTERANCES, seed=11, jobs=1, noise=0, reverb=0, talks=True)
    return folder / "talks"


@pytest.fixture(scope="module")
def talk(corpus) -> str:
    """A talk as one wav."""
    return next(iter(read_kaldi(corpus / "wav.scp").values()))


@pytest.fixture(scope="module")
def rare_words(corpus) -> list[str]:
    return sorted({word for words in read_biasing_list(corpus / "keywords").values() for word in words})


@pytest.fixture(scope="module")
def pipeline():
    from funasr_sap import AutoModel

    return AutoModel(model="sap2", vad_model="silero-vad", ncpu=1, disable_pbar=True, log_level="WARNING")


@pytest.fixture(scope="module")
def result(pipeline, talk, rare_words):
    results = pipeline.generate(talk, hotwords=rare_words)
    assert len(results) == 1
    return results[0]


@pytest.fixture(scope="module")
def plain(pipeline, talk):
    """The talk without hotwords."""
    return pipeline.generate(talk)[0]


def test_a_talk_is_one_result(result, talk):
    assert list(result) == RESULT_KEYS
    assert result["key"] == talk.rsplit("/", 1)[1].removesuffix(".wav")
    assert len(result["text"].split()) > 4 * NUM_UTTERANCES
    assert result["text"] == " ".join(result["text"].split())


def test_keywords_of_all_segments_are_merged(result, rare_words):
    assert len(result["keywords"]) == len(set(result["keywords"])) == len(result["keyword_scores"])
    assert set(result["keywords"]) <= set(rare_words)
    assert len(result["keywords"]) > 5  # what one segment keeps at most
    assert all(0 <= score <= 1 for score in result["keyword_scores"])


def test_hotwords_are_heard(result, plain, rare_words):
    assert plain["keywords"] == []  # nothing is left of the call before
    heard, by_chance = (len(set(each["text"].split()) & set(rare_words)) for each in (result, plain))
    assert heard > 0.5 * len(rare_words) and heard > by_chance


def test_timestamps_rise_through_the_talk(result, plain, talk):
    end = 1000 * soundfile.info(talk).duration
    for each in (result, plain):
        times = [time for word in each["timestamp"] for time in word]
        assert times == sorted(times)
        assert len(each["timestamp"]) == len(each["text"].split())
        assert times[0] >= 0 and 0.9 * end < times[-1] <= end


def test_lists_for_each_talk(pipeline, talk, rare_words, result):
    lists = [rare_words, rare_words, rare_words[:1]]
    results = pipeline.generate([talk, "/none.wav", talk], hotwords=lists, batch_size=2)
    assert [each["key"] for each in results] == [result["key"], "none", f"{result['key']}_2"]
    assert results[0] == result
    assert results[1]["error"] == "none: audio /none.wav: no such file"
    assert results[1]["text"] == "" and results[1]["keywords"] == []
    assert set(results[2]["keywords"]) <= set(rare_words[:1])


def test_another_rate(pipeline, talk, plain, tmp_path):
    import soxr

    samples, rate = soundfile.read(talk, dtype="float32")
    high = soxr.resample(samples, rate, 48000)
    soundfile.write(tmp_path / "high.wav", np.stack([high, high], 1), 48000, "PCM_24")
    for data, options in ((high, {"fs": 48000}), (tmp_path / "high.wav", {})):
        result = pipeline.generate(data, **options)[0]
        assert result["timestamp"][-1][1] == pytest.approx(plain["timestamp"][-1][1], abs=200)
        assert len(set(result["text"].split()) & set(plain["text"].split())) > 20


def test_silence_is_an_empty_text(pipeline, rare_words):
    silent = {"key": "audio_0", "text": ""} | {key: [] for key in RESULT_KEYS[2:]}
    assert pipeline.generate(np.zeros(32000, np.float32), hotwords=rare_words) == [silent]


def test_a_piece_too_short_takes_nothing_with_it(talk, tmp_path):
    from funasr_sap import AutoModel

    own = AutoModel(model="silero-vad", ncpu=1, disable_pbar=True)
    longest = max(end - start for start, end in own.generate(talk)[0]["value"])
    cut = AutoModel(  # the longest segment leaves 10 ms, less than one analysis window
        model="sap2",
        vad_model="silero-vad",
        vad_kwargs={"max_single_segment_time": longest - 10},
        ncpu=1,
        disable_pbar=True,
    )
    result = cut.generate(talk, output_dir=tmp_path)[0]
    assert list(result) == RESULT_KEYS and result["text"]
    assert read_kaldi(tmp_path / "1best_recog/text") == {result["key"]: result["text"]}


def test_wrong_options_are_errors_before_the_work(pipeline, talk):
    with pytest.raises(ConfigError, match="prune: expected one of"):
        pipeline.generate(talk, prune="best")
