"""Long lists and vocabularies are prepared once; in `index_dir` for later runs, too."""

import threading

import pytest
from list_equality import WORDS, assert_equal

from funasr_sap.context import biasing_list, list_cache, stored_list
from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.list_cache import PREPARED, ListCache, prepare_list
from funasr_sap.context.stored_list import StoredList
from funasr_sap.context.vocabulary import VocabularyStore

THREADS = 8


@pytest.fixture(autouse=True)
def every_list_is_long(monkeypatch):
    monkeypatch.setattr(list_cache, "LONG", 2)
    PREPARED.clear()
    yield
    PREPARED.clear()


def test_equal_content_is_prepared_once(tokenizer):
    first = prepare_list(WORDS, tokenizer)
    assert prepare_list(list(WORDS), tokenizer) is first
    assert prepare_list(WORDS[:-1], tokenizer) is not first


def test_the_folder_serves_later_runs(tokenizer, tmp_path, monkeypatch):
    prepare_list(WORDS, tokenizer, tmp_path / "index")
    assert len(VocabularyStore(tmp_path / "index").names()) == 1
    PREPARED.clear()  # a later run
    monkeypatch.setattr(stored_list, "BiasingList", type("NoTokenizing", (BiasingList,), {"__init__": None}))
    read = prepare_list(WORDS, tokenizer, tmp_path / "index")
    assert_equal(read, BiasingList(WORDS, tokenizer))
    assert isinstance(read, StoredList)


def test_other_words_and_other_tokenizers_are_kept_apart(tokenizer, tmp_path):
    from funasr_sap.train.scratch import train_tokenizer

    other = train_tokenizer(["the cell wall of the xylem"] * 3, 300, tmp_path / "tokenizer")
    for words, spelt_by in ((WORDS, tokenizer), (WORDS[1:], tokenizer), (WORDS, other)) * 2:
        assert_equal(prepare_list(words, spelt_by, tmp_path / "index"), BiasingList(words, spelt_by))
    assert len(VocabularyStore(tmp_path / "index").names()) == 2
    assert len([*(tmp_path / "index").glob("*/*/sums.json")]) == 3


def test_short_lists_are_not_kept(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(list_cache, "LONG", 100)
    prepare_list(WORDS, tokenizer, tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_the_oldest_lists_go_first():
    cache, made = ListCache(keywords=10), []

    def get(key, size):
        return cache.get(key, lambda: made.append(key) or ["word"] * size)

    for key, size in (("a", 4), ("b", 4), ("a", 4), ("c", 4), ("a", 4), ("b", 4)):
        assert len(get(key, size)) == size
    assert made == ["a", "b", "c", "b"]  # b was asked for before a was again
    assert len(get("all", 100)) == 100 and get("all", 100) and made[-1] == "all"


def test_what_fails_is_tried_again():
    cache = ListCache(keywords=10)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 / 0)
    assert cache.get("a", lambda: ["word"]) == ["word"]


def test_threads_build_a_vocabulary_and_its_index_once(tokenizer, tmp_path, monkeypatch):
    spelt, built = [], []
    spell, build = stored_list.BiasingList, biasing_list.KeywordIndex.build
    monkeypatch.setattr(stored_list, "BiasingList", lambda *given: spelt.append(1) or spell(*given))
    monkeypatch.setattr(biasing_list.KeywordIndex, "build", lambda ids: built.append(1) or build(ids))
    vocabulary = VocabularyStore(tmp_path).put("plants", WORDS)
    plain, start, found = BiasingList(WORDS, tokenizer), threading.Barrier(THREADS), []

    def work():
        start.wait()
        found.append((prepare_list(vocabulary, tokenizer), plain.index))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == THREADS and len({tuple(map(id, each)) for each in found}) == 1
    assert (len(spelt), len(built)) == (1, 2)  # of the vocabulary, and of the plain list
