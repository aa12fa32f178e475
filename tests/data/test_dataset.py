import random
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from funasr.register import tables
from funasr.train_utils.device_funcs import to_device

from funasr_sap.data.dataset import SAP2Dataset
from funasr_sap.data.jsonl import write_jsonl
from funasr_sap.errors import ConfigError, DataError

PLAIN = {"empty_list": 0.0, "no_rare_words": 0.0}


@pytest.fixture
def make_dataset(speech_wavs, frontend, tmp_path):
    """``make_dataset(change, **conf)``: the spoken utterances, each changed by a function."""

    def make(change=lambda utterance: utterance, **conf):
        write_jsonl(tmp_path / "data.jsonl", map(change, speech_wavs))
        return SAP2Dataset(str(tmp_path / "data.jsonl"), frontend=frontend, **conf)

    return make


def test_an_utterance_is_what_the_file_says(make_dataset, speech_wavs, features):
    dataset = make_dataset(**PLAIN)
    assert len(dataset) == len(speech_wavs)
    for index in (0, 5):
        item, utterance = dataset[index], speech_wavs[index]
        torch.testing.assert_close(item["speech"], features[index])
        assert item["texts"] == item["ctc_texts"] == utterance.text
        assert item["keywords"] == list(utterance.keywords)
        assert set(utterance.keywords) <= set(item["biasing_lists"])
        assert dataset.get_source_len(index) == utterance.speech_length
        assert dataset.get_target_len(index) == utterance.text_length


def test_what_is_too_long_or_too_short_is_left_out_and_counted(make_dataset, speech_wavs, caplog):
    low, *_, high = sorted({each.speech_length for each in speech_wavs})[1:-1]
    dataset = make_dataset(min_source_length=low, max_source_length=high)
    fits = [each.key for each in speech_wavs if low <= each.speech_length <= high]
    assert [each.key for each in dataset.utterances] == fits
    what = f"left out {12 - len(fits)} of 12 utterances, for min_source_length={low} max_source_length={high}"
    assert 0 < len(fits) < 12 and what in caplog.text
    tokens = sorted(each.text_length for each in speech_wavs)
    assert max(each.text_length for each in make_dataset(max_target_length=tokens[6]).utterances) == tokens[6]
    with pytest.raises(DataError, match="left out 12 of 12 utterances, for min_target_length=999"):
        make_dataset(min_target_length=999)


def test_a_batch_is_padded(make_dataset, features):
    dataset = make_dataset()
    batch = dataset.collator([dataset[7], dataset[0]])
    lengths = [len(features[7]), len(features[0])]
    assert batch["speech_lengths"].tolist() == lengths and batch["speech"].shape == (2, max(lengths), 560)
    assert not batch["speech"][0, lengths[0] :].any()
    assert {name for name in batch if len(batch[name]) == 2} == set(batch)


def test_the_model_takes_a_batch(make_dataset, make_model):
    dataset = make_dataset()
    loss, _, _ = make_model()(**dataset.collator([dataset[7], dataset[0]]))
    assert loss.isfinite()


def test_a_missing_transcript_is_named(make_dataset, speech_wavs):
    bad = speech_wavs[3].key
    with pytest.raises(DataError, match=rf"cannot train on .*data\.jsonl: 1 bad .*\n  {bad}: no transcript"):
        make_dataset(lambda each: replace(each, text=None) if each.key == bad else each)


def test_an_empty_transcript_is_silence(make_dataset, make_model):
    dataset = make_dataset(
        lambda each: replace(each, text="", keywords=(), text_length=None), keep_empty=True
    )
    item = dataset[0]
    assert item["texts"] == item["ctc_texts"] == "" and item["keywords"] == []
    assert dataset.get_target_len(0) == 0
    loss, _, _ = make_model(model_conf={"ctc_weight": 1.0})(**dataset.collator([item, dataset[1]]))
    assert loss.isfinite()


@pytest.mark.parametrize("text", ["", " ", "...", "<unk>", "[noise] <|nospeech|>!", "、。"])
def test_what_says_nothing_is_left_out_of_training_and_counted(text, make_dataset, speech_wavs, caplog):
    mute = [each.key for each in speech_wavs][2:4]
    change = lambda each: replace(each, text=text) if each.key in mute else each  # noqa: E731
    dataset = make_dataset(change)
    assert [each.key for each in dataset.utterances] == [e.key for e in speech_wavs if e.key not in mute]
    assert (
        f"2 utterance(s) have an empty transcript (or punctuation and tags), the first is {mute[0]}"
        in caplog.text
    )
    assert "++dataset_conf.keep_empty=true" in caplog.text
    assert len(make_dataset(change, keep_empty=True)) == len(speech_wavs)
    assert len(make_dataset(change, is_training=False)) == len(speech_wavs)


def test_a_set_of_which_nothing_is_left_is_an_error(make_dataset, frontend, tmp_path):
    with pytest.raises(DataError, match="all 12 transcripts are empty"):
        make_dataset(lambda each: replace(each, text=""))
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(DataError, match=r"none\.jsonl holds no utterance"):
        SAP2Dataset(str(tmp_path / "none.jsonl"), frontend=frontend)


def test_a_length_of_0_is_looked_up_in_the_audio(make_dataset, speech_wavs, tmp_path, caplog):
    unknown, instant = (each.key for each in speech_wavs[:2])
    soundfile.write(tmp_path / "instant.wav", np.zeros(160), 16000)

    def change(each):
        if each.key == instant:
            each = replace(each, source=str(tmp_path / "instant.wav"))
        return replace(each, speech_length=0) if each.key in (unknown, instant) else each

    dataset = make_dataset(change)
    assert abs(dataset.get_source_len(0) - speech_wavs[0].speech_length) <= 3
    assert [each.key for each in dataset.utterances] == [e.key for e in speech_wavs if e.key != instant]
    assert f"left out 1 utterance(s) shorter than 25 ms, the first is {instant}" in caplog.text


def test_lengths_that_the_file_lacks_are_measured(make_dataset, speech_wavs):
    dataset = make_dataset(lambda each: replace(each, speech_length=None, text_length=None))
    for index, each in enumerate(speech_wavs):
        assert abs(dataset.get_source_len(index) - each.speech_length) <= 3
        assert dataset.get_target_len(index) == len(each.text.split())


def test_audio_that_cannot_be_measured_is_named(make_dataset):
    dataset = make_dataset(lambda each: replace(each, speech_length=None, source="/nowhere/a.wav"))
    with pytest.raises(DataError, match=r"train-s7-t0001-u001 \(/nowhere/a\.wav\): no such file"):
        dataset.get_source_len(0)


def test_distractors_are_not_spoken(make_dataset, speech_wavs):
    dataset = make_dataset(max_distractors=5, **PLAIN)
    pool = {word for each in speech_wavs for word in each.keywords}
    sizes = set()
    for epoch in range(10):
        dataset.set_epoch(epoch)
        for index, each in enumerate(speech_wavs):
            biasing_list = dataset[index]["biasing_lists"]
            distractors = set(biasing_list) - set(each.keywords)
            assert distractors <= pool and not distractors & set(each.text.split())
            assert len(biasing_list) == len(set(biasing_list)) and len(distractors) <= 5
            sizes.add(len(distractors))
    assert sizes == set(range(6))


def test_a_small_pool_gives_what_it_has(make_dataset):
    dataset = make_dataset(max_distractors=1000, **PLAIN)
    sizes = set()
    for epoch in range(5):
        dataset.set_epoch(epoch)
        sizes |= {len(dataset[index]["biasing_lists"]) for index in range(len(dataset))}
    assert max(sizes) == len(dataset.pool)


def test_words_that_differ_in_case_only_are_one_distractor(make_dataset):
    dataset = make_dataset(
        lambda each: replace(each, keywords=(each.key, each.key.upper())), max_distractors=1000, **PLAIN
    )
    for epoch in range(5):
        dataset.set_epoch(epoch)
        folded = [word.casefold() for word in dataset[0]["biasing_lists"]]
        assert len(set(folded)) >= len(folded) - 1  # the utterance's own two


def test_shares_of_empty_lists_and_of_lists_without_rare_words(make_dataset, speech_wavs):
    dataset = make_dataset(empty_list=0.3, no_rare_words=0.5, max_distractors=3)
    index = next(i for i, each in enumerate(speech_wavs) if each.keywords)
    lists = []
    for epoch in range(400):
        dataset.set_epoch(epoch)
        lists.append(dataset[index]["biasing_lists"])
    own = set(speech_wavs[index].keywords)
    assert sum(own <= set(each) for each in lists) / 400 == pytest.approx(0.35, abs=0.08)
    assert all(not own & set(each) for each in lists if not own <= set(each))
    assert make_dataset(empty_list=1.0)[index]["biasing_lists"] == []


def test_some_lists_are_the_whole_pool(make_dataset, speech_wavs):
    dataset = make_dataset(whole_pool=0.5, max_distractors=3, **PLAIN)
    lists = []
    for epoch in range(200):
        dataset.set_epoch(epoch)
        lists.append(dataset[0]["biasing_lists"])
    assert sum(each is dataset.pool for each in lists) / 200 == pytest.approx(0.5, abs=0.1)
    batch = to_device(dataset.collator([dataset[0], dataset[1]] * 5), "cpu")
    assert any(each is dataset.pool for each in batch["biasing_lists"])
    assert set(dataset.pool) == {word for each in speech_wavs for word in each.keywords}


def test_a_file_gives_further_distractors(make_dataset, speech_wavs, tmp_path):
    (tmp_path / "words.txt").write_text("zygote\nxylem\n", encoding="utf-8")
    dataset = make_dataset(distractors=str(tmp_path / "words.txt"), whole_pool=1.0, **PLAIN)
    own = {word for each in speech_wavs for word in each.keywords}
    assert set(dataset[0]["biasing_lists"]) == own | {"zygote", "xylem"}
    with pytest.raises(FileNotFoundError, match=r"no\.txt"):
        make_dataset(distractors=str(tmp_path / "no.txt"))


def test_respelling_changes_list_and_transcript_together(make_dataset, speech_wavs):
    dataset = make_dataset(respell=1.0, **PLAIN)
    index = next(i for i, each in enumerate(speech_wavs) if each.keywords)
    item = dataset[index]
    assert item["keywords"] != list(speech_wavs[index].keywords)
    assert all(word in item["texts"].split() and word in item["biasing_lists"] for word in item["keywords"])
    assert item["ctc_texts"] == speech_wavs[index].text  # what was said stays
    assert not set(speech_wavs[index].keywords) & set(item["biasing_lists"])


def without_speech(dataset):
    return [{name: v for name, v in dataset[i].items() if name != "speech"} for i in range(len(dataset))]


def test_validation_draws_the_same_in_each_epoch(make_dataset):
    dataset = make_dataset(is_training=False, respell=1.0)
    first = without_speech(dataset)
    assert all(each["texts"] == each["ctc_texts"] for each in first)
    dataset.set_epoch(1)
    assert without_speech(dataset) == first


def test_draws_follow_from_seed_epoch_and_place(make_dataset):
    dataset, state = make_dataset(respell=0.5), random.getstate()
    first = without_speech(dataset)
    backwards = [dataset[index]["seeds"] for index in reversed(range(len(dataset)))]
    assert backwards[::-1] == [each["seeds"] for each in first] and random.getstate() == state
    assert without_speech(make_dataset(respell=0.5)) == first
    assert without_speech(make_dataset(respell=0.5, seed=1)) != first
    dataset.set_epoch(1)
    second = without_speech(dataset)
    assert sum(a["biasing_lists"] != b["biasing_lists"] for a, b in zip(first, second, strict=True)) > 6


def test_workers_draw_the_same(make_dataset):
    dataset = make_dataset()
    dataset.set_epoch(3)
    loader = torch.utils.data.DataLoader(dataset, 5, collate_fn=dataset.collator, num_workers=2)
    seeds = [seed for batch in loader for seed in batch["seeds"]]
    assert seeds == [dataset[index]["seeds"] for index in range(len(dataset))]


def test_cached_features_are_close(make_dataset, speech_wavs):
    dataset = make_dataset(cache_features=True)
    fresh, cached = dataset[2]["speech"], dataset[2]["speech"]
    assert list(dataset.cache) == [2] and cached.dtype == torch.float32 and cached.equal(fresh)
    torch.testing.assert_close(cached, make_dataset()[2]["speech"], rtol=2e-3, atol=2e-3)


def test_funasrs_sampler_batches_it(make_dataset, speech_wavs):
    conf = {"batch_sampler": "EspnetStyleBatchSampler", "batch_type": "length", "batch_size": 1000}
    conf |= {"num_workers": 0, "pin_memory": False}
    dataset = make_dataset(lambda each: replace(each, speech_length=None), **conf)
    sampler = tables.batch_sampler_classes["EspnetStyleBatchSampler"](dataset, **conf)["batch_sampler"]
    batches = list(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(len(speech_wavs)))
    longest = [max(map(dataset.get_source_len, batch)) * len(batch) for batch in batches]
    assert max(longest) <= 1000 and len(batches) > 3


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"max_distractor": 5}, "dataset_conf: unknown key 'max_distractor'"),
        ({"batch_sise": 5}, "did you mean 'batch_size'"),
        ({"data_split_num": 4}, "data_split_num: expected 1, got 4"),
    ],
)
def test_bad_configuration(conf, message, make_dataset):
    with pytest.raises(ConfigError, match=message):
        make_dataset(**conf)


def test_missing_audio_is_named(make_dataset):
    dataset = make_dataset(lambda each: replace(each, source="/nowhere/a.wav"))
    with pytest.raises(DataError, match=r"train-s7-t0001-u001: .*/nowhere/a\.wav: no such file"):
        dataset[0]


def test_a_batch_tells_what_it_lacks(make_dataset, make_model, speech_wavs):
    bad = speech_wavs[3].key
    dataset = make_dataset(
        lambda each: replace(each, source="/nowhere/a.wav", speech_length=None) if each.key == bad else each,
        max_bad=1,
    )
    assert dataset.get_source_len(3) == 1
    batch = dataset.collator(dataset.__getitems__([2, 3, 4]))
    assert batch["keys"] == [speech_wavs[2].key, speech_wavs[4].key]
    assert len(batch["bad"]) == 1 and batch["bad"][0].startswith(f"{bad}: ")
    silent = dataset.collator(dataset.__getitems__([3]))
    assert silent["keys"] == [None] and len(silent.pop("bad")) == 1
    loss, _, _ = make_model(model_conf={"ctc_weight": 1.0})(**silent)
    assert loss.isfinite()


def test_what_the_encoder_cannot_hear_is_left_out(make_dataset, speech_wavs, frontend, caplog, monkeypatch):
    monkeypatch.setattr(frontend, "max_seconds", 3, raising=False)
    kept = [each.key for each in speech_wavs if each.speech_length <= 298]
    assert 0 < len(kept) < len(speech_wavs)
    assert [each.key for each in make_dataset(**PLAIN).utterances] == kept
    assert "for max_source_length=298" in caplog.text
