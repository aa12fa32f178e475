"""Vocabularies: stored under a name, shared by processes, versioned by words and tokenizer."""

import copy
import json
import logging
import multiprocessing
import os
import pickle
import shutil
import time

import numpy as np
import pytest
from list_equality import WORDS, assert_equal

from funasr_sap.context import stored_list
from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.list_cache import PREPARED, prepare_list
from funasr_sap.context.stored_list import spell_vocabulary, version
from funasr_sap.context.vocabulary import CURRENT, VocabularyStore, find_vocabulary
from funasr_sap.errors import DataError


@pytest.fixture
def store(tmp_path):
    return VocabularyStore(tmp_path / "store")


@pytest.fixture(autouse=True)
def forget():
    yield
    PREPARED.clear()


def is_mapped(array: np.ndarray) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


def test_it_is_what_a_fresh_list_is(store, tokenizer):
    vocabulary = store.put("plants", WORDS)
    assert [*vocabulary] == WORDS and len(vocabulary) == len(WORDS) and vocabulary.name == "plants"
    for _ in range(2):  # made, then read
        prepared = spell_vocabulary(vocabulary, tokenizer)
        assert_equal(prepared, BiasingList(WORDS, tokenizer))
        for array in (prepared.ids.pieces, prepared.words.data, *vars(prepared.index).values()):
            assert is_mapped(array)
    assert prepare_list(store.get("plants"), tokenizer) is prepare_list(vocabulary, tokenizer)


@pytest.mark.parametrize("words", [[], ["", "<|im_end|>"], ["one"]])
def test_small_and_empty_ones(words, store, tokenizer):
    prepared = spell_vocabulary(store.put("few", words), tokenizer)
    assert_equal(prepared, BiasingList(words, tokenizer))


def test_copies_are_references(store, tokenizer):
    vocabulary = store.put("plants", WORDS * 100)
    prepared = prepare_list(vocabulary, tokenizer)
    copied = copy.deepcopy({"hotwords": vocabulary})["hotwords"]  # as FunASR copies options
    for other in (copied, pickle.loads(pickle.dumps(vocabulary))):
        assert other == vocabulary and prepare_list(other, tokenizer) is prepared
    assert len(pickle.dumps(vocabulary)) < 1000


def test_the_same_words_again_are_no_work(store):
    first = store.put("plants", WORDS)
    before = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")}
    assert store.put("plants", tuple(WORDS)) == first == store.get("plants")
    assert {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")} == before


def test_new_words_leave_readers_as_they_are(store, tokenizer):
    first = store.put("plants", ["xylem", "phloem"])
    reader = prepare_list(first, tokenizer)
    second = store.put("plants", ["cell wall"])
    assert second != first and store.get("plants") == second and store.names() == ["plants"]
    assert [*reader.words] == [*first] == ["xylem", "phloem"]
    assert [*prepare_list(store.get("plants"), tokenizer).words] == ["cell wall"]
    time.sleep(0.01)
    third = store.put("plants", ["leaf"])
    assert {*store.folder.glob("*/*.json")} == {
        store.folder / "plants" / f"{name}.json" for name in ("current", second.content, third.content)
    }
    assert [*reader.words] == ["xylem", "phloem"] and len(reader.index) == 2
    with pytest.raises(DataError, match=r"vocabulary plants: .*cannot be read .*put its words into"):
        list(first)


def test_versions_go_by_tokenizer(store, tokenizer, tmp_path, caplog):
    from funasr_sap.train.scratch import train_tokenizer

    other = train_tokenizer(["the cell wall of the xylem"] * 3, 300, tmp_path / "tokenizer")
    vocabulary = store.put("plants", WORDS)
    assert version(vocabulary, tokenizer) != version(vocabulary, other)
    with caplog.at_level(logging.INFO, "funasr_sap"):
        for spelt_by in (tokenizer, other, tokenizer, other):
            assert_equal(spell_vocabulary(vocabulary, spelt_by), BiasingList(WORDS, spelt_by))
    assert [each.levelname for each in caplog.records] == ["INFO"] * 2


def test_another_format_is_made_anew_from_the_words(store, tokenizer, monkeypatch):
    vocabulary = store.put("plants", WORDS)
    before = version(vocabulary, tokenizer)
    spell_vocabulary(vocabulary, tokenizer)
    monkeypatch.setattr(stored_list, "FORMAT", stored_list.FORMAT + 1)
    stored_list._spelling_digest.cache_clear()
    assert version(vocabulary, tokenizer) != before
    assert_equal(spell_vocabulary(vocabulary, tokenizer), BiasingList(WORDS, tokenizer))
    stored_list._spelling_digest.cache_clear()


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "sums"])
def test_damaged_files_are_made_anew(damage, store, tokenizer, caplog):
    vocabulary = store.put("plants", WORDS)
    spell_vocabulary(vocabulary, tokenizer)
    folder = store.folder / "plants" / version(vocabulary, tokenizer)
    path = folder / ("sums.json" if damage == "sums" else "order.npy")
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + b"\x7f" if damage == "changed" else content[: len(content) // 2])
    with caplog.at_level(logging.WARNING):
        assert_equal(spell_vocabulary(vocabulary, tokenizer), BiasingList(WORDS, tokenizer))
    assert [each.levelname for each in caplog.records] == ["WARNING"] and folder.name in caplog.text
    assert path.read_bytes() == content
    shutil.rmtree(folder)
    words = store.folder / "plants" / f"{vocabulary.content}.json"
    words.write_text(json.dumps(["other"]))
    with pytest.raises(DataError, match=r"vocabulary plants: .* is damaged; put its words into the store"):
        spell_vocabulary(vocabulary, tokenizer)
    assert [*store.put("plants", WORDS)] == WORDS
    assert_equal(spell_vocabulary(vocabulary, tokenizer), BiasingList(WORDS, tokenizer))


def test_what_a_model_hears_is_stored_too(store, hearing, caplog):
    words = ["xylem", "★★★", "cell wall", "São Paulo"]
    vocabulary = store.put("plants", words)
    expected = BiasingList(words, hearing.tokenizer).heard_by(hearing)
    for _ in range(2):
        heard = spell_vocabulary(vocabulary, hearing.tokenizer).heard_by(hearing)
        assert_equal(heard, expected)
        assert is_mapped(heard.index.order) and is_mapped(heard.ids.pieces)
    assert len([*store.folder.glob("plants/*/heard-*/sums.json")]) == 1


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(store, tokenizer, monkeypatch, caplog):
    vocabulary = store.put("plants", WORDS)

    def refuse(*given):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(stored_list, "save_arrays", refuse)
    assert_equal(spell_vocabulary(vocabulary, tokenizer), BiasingList(WORDS, tokenizer))
    assert "the list is kept in memory alone" in caplog.text


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "/etc", ".hidden", "a\n", "x" * 61, "a\0", "-x", " a", 3]
)
def test_names_come_from_outside(name, store):
    for call in (store.get, store.delete, lambda name: store.put(name, ["xylem"])):
        with pytest.raises(DataError, match="vocabulary: expected a name of 1 to 60 letters and digits"):
            call(name)
    assert not store.folder.exists()


def test_names_of_all_scripts(store):
    for name in ("products-2024.v1", "植物 学", "ü", "9", "植" * 60):
        assert store.get(store.put(name, ["xylem"]).name).name == name
    assert len(store.names()) == 5
    store.delete("9")
    assert "9" not in store.names() and not (store.folder / "9").exists()
    for call in (store.get, store.delete):
        with pytest.raises(DataError, match=r"vocabulary 9: not in .*store"):
            call("9")
    (store.folder / "ü" / CURRENT).write_text("[")
    with pytest.raises(DataError, match=r"vocabulary ü: .*current.json cannot be read .*put its words"):
        store.get("ü")
    assert store.put("ü", ["xylem"]) == store.get("ü")


def test_no_list_of_words(store):
    for words in (3, ["a", 3], {"utt": ["a"]}):
        with pytest.raises(DataError, match="hotwords: expected"):
            store.put("plants", words)
    assert [*store.put("plants", "xylem, phloem")] == ["xylem", "phloem"]
    assert find_vocabulary(store.folder / "plants") == store.get("plants")
    assert find_vocabulary(store.folder) is None and find_vocabulary("~nobody/" + "x" * 9000) is None


def test_a_long_list_is_opened_without_a_look_at_its_words(store, tokenizer, monkeypatch):
    words = [f"word {number:x}" for number in range(50_000)]
    vocabulary = store.put("long", words)
    made = prepare_list(vocabulary, tokenizer)
    PREPARED.clear()
    (store.folder / "long" / f"{vocabulary.content}.json").unlink()
    read = prepare_list(store.get("long"), tokenizer)
    assert len(read) == 50_000 and read.words[49_999] == made.words[49_999] == "word c34f"
    assert is_mapped(read.ids.starts) and is_mapped(read.words.starts)


def test_processes_share_a_store(store, tokenizer):
    vocabulary = store.put("plants", WORDS)
    spell_vocabulary(vocabulary, tokenizer)
    folder = tokenizer.name_or_path
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        found = pool.starmap(_read_elsewhere, [(vocabulary, folder)] * 2, chunksize=1)
    expected = BiasingList(WORDS, tokenizer)
    for process, name, words, order in found:
        assert process != os.getpid() and name == version(vocabulary, tokenizer)
        assert words == expected.words and order == expected.index.order.tolist()
    assert len([*store.folder.glob("plants/*/sums.json")]) == 1


def _read_elsewhere(vocabulary, folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    prepared = prepare_list(vocabulary, tokenizer)
    assert is_mapped(prepared.index.order)
    return os.getpid(), version(vocabulary, tokenizer), [*prepared.words], prepared.index.order.tolist()
