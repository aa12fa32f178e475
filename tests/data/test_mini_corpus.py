import filecmp
import functools
import itertools
import json
import random
import re
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from funasr_sap.data.mini_corpus import (
    dictionary_words,
    made_up_names,
    make_corpus,
    rare_vocabulary,
    vocabulary,
)
from funasr_sap.data.mini_corpus.__main__ import main
from funasr_sap.data.mini_corpus.acoustics import scale_vocal_tract
from funasr_sap.data.mini_corpus.corpus import TALK_FILES, UTTERANCE_FILES, _start_method
from funasr_sap.data.mini_corpus.grammar import Grammar
from funasr_sap.data.mini_corpus.language import get_language
from funasr_sap.data.mini_corpus.speech import Synthesizer
from funasr_sap.data.mini_corpus.talks import plan_talk
from funasr_sap.data.mini_corpus.vocabulary import SPLITS, split_of
from funasr_sap.data.mini_corpus.voices import VARIANTS, voice_names
from funasr_sap.errors import ConfigError

NUM_UTTERANCES = 45  # more than one talk, the last one cut


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, "train", utterances=NUM_UTTERANCES, seed=3, jobs=1, talks=True)
    return folder


def read(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    table = dict([*line.split(maxsplit=1), ""][:2] for line in lines)
    assert len(table) == len(lines)
    assert list(table) == sorted(table)
    return table


def relative_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def utterances_of(split: str, count: int, lang: str = "en", seed: int = 0) -> list:
    talks = (plan_talk(split, lang, seed, index) for index in itertools.count(1))
    return list(itertools.islice((u for talk in talks for u in talk.utterances), count))


def test_bytes_do_not_depend_on_jobs(corpus, tmp_path):
    make_corpus(tmp_path, "train", utterances=NUM_UTTERANCES, seed=3, jobs=2, talks=True)
    names = relative_files(corpus)
    assert relative_files(tmp_path) == names
    wavs = [name for name in names if name.endswith(".wav")]
    same, different, failed = filecmp.cmpfiles(corpus, tmp_path, wavs, shallow=False)
    assert (len(same), different, failed) == (len(wavs), [], [])
    for name in set(names) - set(wavs):
        ours = (tmp_path / name).read_text(encoding="utf-8")
        assert ours.replace(str(tmp_path), str(corpus)) == (corpus / name).read_text(encoding="utf-8"), name


def test_hours_stop_after_the_talk_that_reaches_them(tmp_path):
    for jobs in (1, 2):
        make_corpus(tmp_path / str(jobs), "dev", hours=0.03, jobs=jobs)
    assert read(tmp_path / "1" / "utt2dur") == read(tmp_path / "2" / "utt2dur")
    durations = {utt: float(value) for utt, value in read(tmp_path / "1" / "utt2dur").items()}
    last = max(read(tmp_path / "1" / "utt2spk").values())
    before = sum(value for utt, value in durations.items() if not utt.startswith(last))
    assert before < 0.03 * 3600 <= sum(durations.values())
    for jobs in ("1", "2"):
        # Talks begun ahead of time leave nothing behind.
        wavs = [name for name in relative_files(tmp_path / jobs) if name.endswith(".wav")]
        assert len(wavs) == len(durations)


def test_seeds_give_other_talks():
    texts = [{u.text for u in utterances_of("train", 100, seed=seed)} for seed in (0, 1)]
    assert len(texts[0] & texts[1]) < 3
    assert plan_talk("test", "en", 5, 2) == plan_talk("test", "en", 5, 2)


def test_files_are_consistent(corpus):
    tables = {name: read(corpus / name) for name in UTTERANCE_FILES if name != "ctm"}
    ids = list(tables["text"])
    assert len(ids) == NUM_UTTERANCES
    assert all(list(table) == ids for table in tables.values())
    assert all(utt.startswith(speaker) for utt, speaker in tables["utt2spk"].items())
    for utt, text in tables["text"].items():
        assert re.fullmatch(r"[a-z']+( [a-z']+){4,11}", text), text
        assert set(filter(None, tables["keywords"][utt].split("$"))) <= set(text.split())
        entries = tables["biasing_list"][utt].split("$")
        assert len(entries) == len(set(entries)) > 10
        assert all(entry and not re.search(r"\s", entry) for entry in entries)


def test_wavs_are_16_khz_mono_int16(corpus):
    durations = read(corpus / "utt2dur")
    for utt, path in read(corpus / "wav.scp").items():
        with wave.open(path) as stream:
            assert (stream.getframerate(), stream.getnchannels(), stream.getsampwidth()) == (16_000, 1, 2)
            assert stream.getnframes() / 16_000 == pytest.approx(float(durations[utt]), abs=1e-3)
            samples = memoryview(stream.readframes(stream.getnframes())).cast("h")
        assert 1_000 < max(samples) < 32_767


def test_talks(corpus):
    folder = corpus / "talks"
    assert {path.name for path in folder.iterdir()} == {*TALK_FILES, "wav"}
    segments, wavs = read(folder / "segments"), read(folder / "wav.scp")
    for name in ("text", "biasing_list", "keywords"):
        assert read(folder / name) == read(corpus / name)
    lengths = {}
    for talk, path in wavs.items():
        with wave.open(path) as stream:
            lengths[talk] = stream.getnframes() / stream.getframerate()
    previous_end = dict.fromkeys(wavs, 0.0)
    for utt, value in segments.items():
        talk, start, end = value.split()
        assert previous_end[talk] + 0.25 < float(start) < float(end) <= lengths[talk] - 0.25
        assert float(end) - float(start) == pytest.approx(float(read(corpus / "utt2dur")[utt]), abs=0.011)
        previous_end[talk] = float(end)
    slides = [json.loads(line) for line in (folder / "slides.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {slide["talk"] for slide in slides} == set(wavs)
    assert all(slide["start"] < slide["end"] and slide["ocr"] and slide["bullets"] for slide in slides)


def test_paths_are_relative_where_the_folder_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_corpus("data/dev", "dev", utterances=1)
    (path,) = read(Path("data/dev/wav.scp")).values()
    assert path.startswith("data/dev/wav/") and Path(path).is_file()


def test_shares_of_rare_words():
    utterances = utterances_of("train", 1000)
    counts = [len(u.keywords) for u in utterances]
    assert 0.80 < sum(map(bool, counts)) / len(counts) < 0.90
    assert set(counts) == {0, 1, 2, 3}
    positions = [u.text.split().index(word) / len(u.text.split()) for u in utterances for word in u.keywords]
    thirds = [sum(1 for p in positions if third <= 3 * p < third + 1) / len(positions) for third in range(3)]
    assert min(thirds) > 0.15
    pool = set(dictionary_words("train"))
    made_up = [word not in pool for u in utterances for word in u.keywords]
    assert 0.2 < sum(made_up) / len(made_up) < 0.4


def test_ocr_finds_most_rare_words_but_not_all():
    found = [word in u.biasing_list for u in utterances_of("train", 1000) for word in u.keywords]
    assert 0.85 < sum(found) / len(found) < 0.99


def test_masked_sentences_differ():
    masked = set()
    for utterance in utterances_of("train", 500):
        masked.add(" ".join("*" if word in utterance.keywords else word for word in utterance.text.split()))
    assert len(masked) > 450


@pytest.mark.parametrize("lang", ["en", "en-radio", "zh"])
def test_vocabularies_are_disjoint(lang):
    common = get_language(lang).vocabulary
    pools = {split: set(rare_vocabulary(split, 6000, seed=1, lang=lang)) for split in SPLITS}
    for split, pool in pools.items():
        assert len(pool) == 6000
        assert not pool & common
        assert all(split_of(word) == split for word in pool)
    assert len(dictionary_words("test", lang)) >= 3000
    spoken = {word for u in utterances_of("test", 100, lang) for word in u.keywords}
    assert all(split_of(word) == "test" for word in spoken)


def test_rare_vocabulary_depends_on_its_seed_only():
    assert rare_vocabulary("dev", 50, seed=1) == rare_vocabulary("dev", 50, seed=1)
    assert rare_vocabulary("dev", 50, seed=1) != rare_vocabulary("dev", 50, seed=2)
    assert set(rare_vocabulary("dev", 50, made_up=0)) <= set(dictionary_words("dev"))


def test_rare_words_are_no_forms_of_common_words():
    words = set(itertools.chain.from_iterable(dictionary_words(split) for split in SPLITS))
    assert not words & {"weeks", "houses", "walked", "making", "running", "studies", "slowly", "hoped"}
    assert all(re.fullmatch("[a-z]{5,14}", word) for word in words)
    names = list(itertools.islice(made_up_names("test", random.Random(0)), 200))
    assert not words & set(names) and len(set(names)) > 190


def test_voices_are_disjoint():
    variants = [set(" ".join(VARIANTS[split].values()).split()) for split in SPLITS]
    assert len(set.union(*variants)) == sum(map(len, variants))
    for split in SPLITS:
        voices = [plan_talk(split, "en", 0, index).voice for index in range(20)]
        assert {voice.name for voice in voices} <= set(voice_names(split))
        assert all((voice.vocal_tract == 1) == (split != "train") for voice in voices)


@pytest.mark.parametrize("factor", (0.85, 1.0, 1.15))
def test_a_longer_vocal_tract_lowers_every_frequency(factor):
    tone = np.sin(2 * np.pi * 1000 * np.arange(22_050) / 22_050) * 10_000
    scaled = scale_vocal_tract(tone.astype(np.int16), factor)
    assert len(scaled) == pytest.approx(16_000 * factor, abs=2)
    peak = np.abs(np.fft.rfft(scaled)).argmax() * 16_000 / len(scaled)
    assert peak == pytest.approx(1000 / factor, abs=2)


def test_common_words_are_all_known():
    common = get_language("en").vocabulary
    for utterance in utterances_of("dev", 300):
        assert set(utterance.text.split()) <= common | set(utterance.keywords)


def test_the_radio_is_another_domain():
    common = {lang: get_language(lang).vocabulary for lang in ("en", "en-radio")}
    assert len(common["en"] & common["en-radio"]) < 0.3 * len(common["en-radio"])
    for lang, other in (("en", "en-radio"), ("en-radio", "en")):
        for split in ("dev", "test"):  # what is rare in a test set is nowhere in training
            assert not common[other] & set(dictionary_words(split, lang))
    longest = max(plan_talk("train", "en", 0, index).voice.vocal_tract for index in range(50))
    for split in SPLITS:
        talk = plan_talk(split, "en-radio", 0, 1)
        assert talk.talk_id.startswith(f"{split}-en-radio-") and talk.voice.vocal_tract > longest
        assert talk.voice.name in voice_names(split, "en-radio")
    words = {word for u in utterances_of("dev", 200, "en-radio") for word in u.text.split()}
    rare = {word for u in utterances_of("dev", 200, "en-radio") for word in u.keywords}
    assert words <= common["en-radio"] | rare and len(words & common["en-radio"]) > 100


def test_mandarin(tmp_path):
    make_corpus(tmp_path, "dev", utterances=8, lang="zh", talks=True)
    texts, keywords = read(tmp_path / "text"), read(tmp_path / "keywords")
    assert len(texts) == 8
    for utt, text in texts.items():
        assert re.fullmatch("[\u4e00-\u9fff]+", text)
        assert all(word in text for word in keywords[utt].split("$"))
    assert all(float(seconds) > 0.8 for seconds in read(tmp_path / "utt2dur").values())


def test_a_grammar_without_a_fitting_sentence_says_so():
    grammar = Grammar({"SENTENCE": ["WORD"]}, {"WORD": "one two"}, (), lengths=(2, 3))
    with pytest.raises(ValueError, match="no sentence of 2 to 3 words"):
        grammar.sample(random.Random(0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "eval", "hours": 1}, "unknown split 'eval'"),
        ({"split": "dev", "hours": 1, "lang": "fr"}, "unknown lang 'fr'"),
        ({"split": "dev"}, "either hours or utterances"),
        ({"split": "dev", "hours": 1, "utterances": 1}, "either hours or utterances"),
        ({"split": "dev", "utterances": 0}, "more than zero"),
        ({"split": "dev", "utterances": 1, "noise": 2}, "noise: expected a probability"),
        ({"split": "dev", "utterances": 1, "jobs": 0}, "at least one job"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        make_corpus(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_a_failed_run_leaves_no_kaldi_files(tmp_path, monkeypatch):
    make_corpus(tmp_path, "dev", utterances=2, talks=True)

    def fail(*_):
        raise RuntimeError("interrupted")

    monkeypatch.setattr("funasr_sap.data.mini_corpus.corpus.plan_talk", fail)
    with pytest.raises(RuntimeError, match="interrupted"):
        make_corpus(tmp_path, "dev", utterances=2, talks=True)
    assert all(name.endswith(".wav") for name in relative_files(tmp_path))


@pytest.mark.parametrize("name", ["espeakng_loader", "wordfreq"])
def test_missing_packages_are_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    vocabulary._listed_words.cache_clear()
    with pytest.raises(ConfigError, match=r"the mini corpus needs the package .*: pip install"):
        Synthesizer() if name == "espeakng_loader" else vocabulary._listed_words("en")


def test_a_process_that_spoke_is_not_forked(monkeypatch):
    assert _start_method() == "fork"
    fake = functools.cache(lambda: None)
    fake()
    monkeypatch.setattr("funasr_sap.data.mini_corpus.corpus.get_synthesizer", fake)
    assert _start_method() == "spawn"


def test_command_line(tmp_path, capsys):
    assert main(["--output-dir", str(tmp_path), "--split", "test", "--utterances", "2", "--jobs", "1"]) == 0
    assert re.search("1 talks, 2 utterances, 0.00 hours", capsys.readouterr().err)
    assert len(read(tmp_path / "text")) == 2
    with pytest.raises(SystemExit) as exit_info:
        main(["--help"])
    assert exit_info.value.code == 0
    assert "--talks" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--split", "dev", "--hours", "1"],
        ["--output-dir", "x", "--split", "eval", "--hours", "1"],
        ["--output-dir", "x", "--split", "dev"],
        ["--output-dir", "x", "--split", "dev", "--hours", "1", "--utterances", "5"],
        ["--output-dir", "x", "--split", "dev", "--hours", "-1"],
        ["--output-dir", "x", "--split", "dev", "--hours", "1", "--lang", "fr"],
    ],
)
def test_bad_command_lines_exit_with_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    assert not list(tmp_path.iterdir())


def test_ctm_says_when_words_begin(corpus):
    spoken = {line.split()[0]: line.split()[1:] for line in (corpus / "text").read_text().splitlines()}
    times = {}
    for line in (corpus / "ctm").read_text().splitlines():
        utt_id, channel, start, duration, word = line.split()
        assert channel == "1" and float(duration) > 0
        times.setdefault(utt_id, []).append((float(start), float(start) + float(duration), word))
    assert times.keys() == spoken.keys()
    onsets = []
    for utt_id, words in times.items():
        samples, rate = soundfile.read(corpus / "wav" / utt_id.rsplit("-", 1)[0] / f"{utt_id}.wav")
        assert words == sorted(words) and words[-1][1] <= len(samples) / rate + 0.1
        positions = iter(spoken[utt_id])
        assert all(word in positions for _, _, word in words)  # a subsequence of the transcript
        loud = np.flatnonzero(np.abs(samples) > 0.1 * np.abs(samples).max())
        if words[0][2] == spoken[utt_id][0]:
            onsets.append(abs(loud[0] / rate - words[0][0]))
    assert len(onsets) > NUM_UTTERANCES // 2 and np.median(onsets) < 0.06
    assert sum(map(len, times.values())) > 0.8 * sum(map(len, spoken.values()))
