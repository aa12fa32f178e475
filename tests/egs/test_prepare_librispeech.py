import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from funasr_sap.data.kaldi import read_biasing_list, read_kaldi

ROOT = Path(__file__).parents[2]
LOCAL = ROOT / "egs" / "librispeech" / "local"
SETS = ("train", "dev", "test-clean", "test-other")
TREES = ("train-clean-100", "dev-clean", "dev-other", "test-clean", "test-other")


def run(script, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, script, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)


def prepare(tree, output, *options):
    arguments = ("--corpus", "100", "--data-root", tree, "--output-dir", output, *options)
    return run(LOCAL / "prepare_librispeech.py", *arguments)


def draw(data, output, num, seed=0):
    keys = {"keywords": data / "test-clean" / "keywords", "text": data / "test-clean" / "text"}
    keys |= {"distractors": data / "rare_words", "num": num, "seed": seed, "output": output}
    done = run(ROOT / "tools" / "make_biasing_lists.py", *(f"--{key}={value}" for key, value in keys.items()))
    assert done.returncode == 0, done.stderr
    return read_biasing_list(output)


def words_of(path):
    return path.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """LibriSpeech's tree with a few synthetic utterances in each set."""
    folder = tmp_path_factory.mktemp("librispeech") / "LibriSpeech"
    options = {"train": 14, "dev": 3, "test": 4, "jobs": 1}
    arguments = [f"--{key}={value}" for key, value in options.items()]
    done = run(LOCAL / "make_mini_librispeech.py", f"--output-dir={folder}", *arguments)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def prepared(tree, tmp_path_factory):
    output = tmp_path_factory.mktemp("prepared")
    done = prepare(tree, output, "--num-common", "20")
    assert done.returncode == 0, done.stderr
    return output


def test_the_mini_tree_is_laid_out_as_the_published_one(tree):
    assert sorted(path.name for path in tree.iterdir()) == sorted(TREES)
    counts = {"train-clean-100": 14, "dev-clean": 3, "dev-other": 3, "test-clean": 4, "test-other": 4}
    speakers = set()
    for name, count in counts.items():
        audio = sorted(tree.glob(f"{name}/*/*/*.flac"))
        assert len(audio) == count
        for path in audio:
            speaker, chapter, number = re.fullmatch(r"(\d+)-(\d+)-(\d{4})", path.stem).groups()
            assert path.parent == tree / name / speaker / chapter
            assert soundfile.info(path).samplerate == 16000 and soundfile.info(path).frames > 8000
            line = words_of(path.parent / f"{speaker}-{chapter}.trans.txt")[int(number)]
            assert line.split()[0] == path.stem and line.isupper()
        found = {path.parent.parent.name for path in audio}
        assert not found & speakers
        speakers |= found


def test_sets_hold_the_audio_and_the_lower_cased_text(tree, prepared):
    published = {"train": ["train-clean-100"], "dev": ["dev-clean", "dev-other"]}
    for name in SETS:
        wavs, texts = read_kaldi(prepared / name / "wav.scp"), read_kaldi(prepared / name / "text")
        lines = [
            line.split(maxsplit=1)
            for folder in published.get(name, [name])
            for path in tree.glob(f"{folder}/*/*/*.trans.txt")
            for line in words_of(path)
        ]
        assert texts == {utt_id: text.lower() for utt_id, text in lines}
        assert wavs.keys() == texts.keys()
        for utt_id, path in wavs.items():
            assert Path(path).is_file() and Path(path).name == f"{utt_id}.flac"


def test_common_words_are_the_most_frequent_of_training_and_the_others_rare(prepared):
    counts = Counter(" ".join(read_kaldi(prepared / "train" / "text").values()).split())
    common, rare = words_of(prepared / "common_words"), words_of(prepared / "rare_words")
    assert len(common) == 20 and set(common) | set(rare) == counts.keys() and not set(common) & set(rare)
    assert min(counts[word] for word in common) >= max(counts[word] for word in rare)
    for name in SETS:
        texts, keywords = (
            read_kaldi(prepared / name / "text"),
            read_biasing_list(prepared / name / "keywords"),
        )
        assert keywords.keys() == texts.keys()
        for utt_id, text in texts.items():
            assert keywords[utt_id] == list(dict.fromkeys(w for w in text.split() if w not in common))


def test_given_word_lists_are_used(tree, tmp_path):
    (tmp_path / "common").write_text("the\nof\n")
    (tmp_path / "rare").write_text("zyx\nthe\nwvu\n")
    options = ("--common-words", tmp_path / "common", "--rare-words", tmp_path / "rare")
    assert prepare(tree, tmp_path / "out", *options).returncode == 0
    assert words_of(tmp_path / "out" / "rare_words") == ["wvu", "zyx"]
    texts = read_kaldi(tmp_path / "out" / "train" / "text")
    for utt_id, words in read_biasing_list(tmp_path / "out" / "train" / "keywords").items():
        assert words == [word for word in dict.fromkeys(texts[utt_id].split()) if word not in ("the", "of")]


def test_lists_have_n_distractors_none_of_them_spoken(prepared, tmp_path):
    texts = read_kaldi(prepared / "test-clean" / "text")
    keywords = read_biasing_list(prepared / "test-clean" / "keywords")
    pool = set(words_of(prepared / "rare_words"))
    lists = draw(prepared, tmp_path / "list", 30)
    assert lists.keys() == texts.keys()
    for utt_id, words in lists.items():
        distractors = set(words) - set(keywords[utt_id])
        assert len(words) == len(set(words)) == len(keywords[utt_id]) + 30 and len(distractors) == 30
        assert distractors <= pool and not distractors & set(texts[utt_id].split())


def test_lists_follow_their_seed(prepared, tmp_path):
    lists = draw(prepared, tmp_path / "a", 30, seed=1)
    assert lists == draw(prepared, tmp_path / "b", 30, seed=1)
    assert lists != draw(prepared, tmp_path / "c", 30, seed=2)


def published_tsv(prepared, path, change=lambda row: row):
    rows = []
    for utt_id, text in read_kaldi(prepared / "test-clean" / "text").items():
        rare = text.split()[:2]
        rows.append(change([utt_id, text, rare, sorted([*rare, "it's", "zola's", "two words"])]))
    lines = ("\t".join([*row[:2], *map(json.dumps, row[2:])]) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
    return {row[0]: row[-1] for row in rows}


def take_over(prepared, tsv, output):
    text = prepared / "test-clean" / "text"
    return run(LOCAL / "published_lists.py", "--tsv", tsv, "--text", text, "--output", output)


def test_published_lists_are_read_as_they_are(prepared, tmp_path):
    wanted = published_tsv(prepared, tmp_path / "tsv")
    done = take_over(prepared, tmp_path / "tsv", tmp_path / "list")
    assert done.returncode == 0, done.stderr
    assert read_biasing_list(tmp_path / "list") == wanted


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda row: [*row[:1], "other", *row[2:]], "4001-1-0000: its text differs"),
        (lambda row: row[:3], "4001-1-0000: no biasing list"),
        (lambda row: [row[0] + "x", *row[1:]], "4001-1-0000x: not in the test set"),
        (lambda row: [*row[:3], "words"], "tsv:1: expected a list of words"),
    ],
)
def test_lists_of_another_test_set_are_refused(prepared, tmp_path, change, named):
    published_tsv(prepared, tmp_path / "tsv", change)
    done = take_over(prepared, tmp_path / "tsv", tmp_path / "list")
    assert done.returncode == 1 and named in done.stderr
    assert not (tmp_path / "list").exists()


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (
            lambda tree: shutil.rmtree(tree),
            "lacks train-clean-100, dev-clean, dev-other, test-clean, test-other;",
        ),
        (lambda tree: shutil.rmtree(tree / "dev-other"), "lacks dev-other;"),
    ],
)
def test_missing_sets_are_named_in_one_sentence(tree, tmp_path, damage, named):
    copy = Path(shutil.copytree(tree, tmp_path / "LibriSpeech"))
    damage(copy)
    done = prepare(copy, tmp_path / "out")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert named in done.stderr and "resource 12 of openslr.org" in done.stderr
    assert not (tmp_path / "out").exists()
    assert "no --data-root is given" in prepare("", tmp_path / "out").stderr


def test_audio_and_transcripts_without_a_partner_are_all_named(tree, tmp_path):
    copy = Path(shutil.copytree(tree, tmp_path / "LibriSpeech"))
    chapter = copy / "test-clean" / "4001" / "1"
    (chapter / "4001-1-0000.flac").unlink()
    soundfile.write(chapter / "4001-1-0099.flac", np.zeros(16000), 16000)
    done = prepare(copy, tmp_path / "out")
    assert done.returncode == 1
    assert "4001-1-0000 has a transcript, no flac" in done.stderr
    assert "4001-1-0099.flac has no transcript" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_recipe_prepares_the_mini_corpus_and_its_lists(tmp_path):
    """Stages 0 and 1 of run.sh, in a copy of the checkout's recipes."""
    for name in ("egs", "tools", "conf"):
        ignore = shutil.ignore_patterns("data", "exp")
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=ignore)
    command = (
        "bash egs/librispeech/run.sh --stage 0 --stop-stage 1 --mix-utterances 12 --utterances 4 --jobs 1"
    )
    arguments = [*command.split(), "--sizes", "20 2000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for again in (False, True):
        done = subprocess.run(arguments, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert ("already done: data/mini/.prepared.done" in done.stderr) == again
    data = tmp_path / "egs" / "librispeech" / "data" / "mini"
    for name in ("test-clean", "test-other"):
        keywords = read_biasing_list(data / name / "keywords")
        for num in (20, 2000):
            lists = read_biasing_list(data / name / f"biasing_list.N{num}")
            assert {utt_id: len(words) - num for utt_id, words in lists.items()} == {
                utt_id: len(words) for utt_id, words in keywords.items()
            }
    assert len(words_of(data / "train" / "data.jsonl")) == 12
