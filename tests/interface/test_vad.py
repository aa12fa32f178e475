import numpy as np
import pytest
import soundfile

from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.data.mini_corpus import make_corpus
from funasr_sap.errors import ConfigError
from funasr_sap.registration import EMBEDDED

RESULT_KEYS = ["key", "text", "keywords", "keyword_scores", "timestamp"]
NUM_UTTERANCES = 12


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("talk")
    make_corpus(folder, "test", utterances=NUM_UTTERANCES, seed=11, jobs=1, talks=True)
    return folder / "talks"


@pytest.fixture(scope="module")
def talk(corpus) -> str:
    """A talk as one wav."""
    return next(iter(read_kaldi(corpus / "wav.scp").values()))


@pytest.fixture(scope="module")
def rare_words(corpus) -> list[str]:
    return sorted({word for words in read_biasing_list(corpus / "keywords").values() for word in words})


@pytest.fixture(scope="module")
def pipeline(model_dir, talk, rare_words):
    """A pipeline whose random model has something to say about the talk."""
    from funasr_sap import AutoModel

    built = AutoModel(model=model_dir, vad_model="silero-vad", ncpu=1, disable_pbar=True, log_level="WARNING")
    weight = built.model.llm.get_input_embeddings().weight.data[built.model.prompts.end_id]
    for _ in range(6):
        if all(built.generate(talk, hotwords=words)[0]["text"] for words in (rare_words, [])):
            break
        weight /= 1.5  # the end of an answer, less often the first piece of it
    return built


@pytest.fixture(scope="module")
def result(pipeline, talk, rare_words):
    results = pipeline.generate(talk, hotwords=rare_words)
    assert len(results) == 1
    return results[0]


def assert_times_rise(result, talk):
    times = [time for word in result["timestamp"] for time in word]
    assert times == sorted(times)
    assert all(0 <= time <= 1000 * soundfile.info(talk).duration for time in times)
    return times


def test_a_talk_is_one_result(result, talk):
    assert list(result) == RESULT_KEYS
    assert result["key"] == talk.rsplit("/", 1)[1].removesuffix(".wav")
    assert result["text"]


def test_keywords_of_all_segments_are_merged(result, rare_words):
    assert len(result["keywords"]) == len(set(result["keywords"])) == len(result["keyword_scores"])
    assert set(result["keywords"]) <= set(rare_words)
    assert len(result["keywords"]) > 5  # what one segment keeps at most
    assert all(0 <= score <= 1 for score in result["keyword_scores"])


def test_timestamps_rise_inside_the_talk(pipeline, result, talk):
    for each in (result, pipeline.generate(talk)[0]):
        assert_times_rise(each, talk)


def test_lists_for_each_talk(pipeline, talk, rare_words, result):
    results = pipeline.generate(
        [talk, "/none.wav", talk], hotwords=[rare_words, rare_words, rare_words[:1]], batch_size=2
    )
    assert [each["key"] for each in results] == [result["key"], "none", f"{result['key']}_2"]
    assert results[0] == result
    assert results[1]["error"] == "none: audio /none.wav: no such file"
    assert results[1]["text"] == "" and results[1]["keywords"] == []
    assert results[2]["keywords"] == rare_words[:1]


def test_one_call_leaves_nothing_to_the_next(pipeline, talk, result):
    assert pipeline.generate(talk)[0]["keywords"] == []


def test_another_rate(pipeline, talk, result, tmp_path):
    import soxr

    samples, rate = soundfile.read(talk, dtype="float32")
    low = pipeline.generate(soxr.resample(samples, rate, 8000), fs=8000)[0]
    soundfile.write(tmp_path / "low.wav", soxr.resample(samples, rate, 8000), 8000, "FLOAT")
    assert low["text"]
    assert pipeline.generate(tmp_path / "low.wav")[0] == {**low, "key": "low"}


def test_silence_is_an_empty_text(pipeline, rare_words):
    silent = {"key": "audio_0", "text": "", "keywords": [], "keyword_scores": [], "timestamp": []}
    assert pipeline.generate(np.zeros(32000, np.float32), hotwords=rare_words) == [silent]


def test_a_piece_too_short_takes_nothing_with_it(model_dir, talk, tmp_path):
    from funasr_sap import AutoModel

    own = AutoModel(model="silero-vad", ncpu=1, disable_pbar=True)
    longest = max(end - start for start, end in own.generate(talk)[0]["value"])
    cut = AutoModel(  # the longest segment leaves 10 ms, less than one analysis window
        model=model_dir,
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


@pytest.mark.skipif(
    not (EMBEDDED["sap2"] / "model.pt").is_file(), reason="the embedded model is not there yet"
)
def test_the_embedded_model_hears_the_rare_words(talk, rare_words):
    from funasr_sap import AutoModel

    sap2 = AutoModel(model="sap2", vad_model="silero-vad", ncpu=1, disable_pbar=True, log_level="WARNING")
    result = sap2.generate(talk, hotwords=rare_words)[0]
    spoken = set(result["text"].split())
    assert len(spoken & set(rare_words)) > 0.6 * len(rare_words)
    assert len(spoken & set(rare_words)) > len(set(sap2.generate(talk)[0]["text"].split()) & set(rare_words))
    assert len(assert_times_rise(result, talk)) == 2 * len(result["text"].split())
