import logging

import pytest

from funasr_sap.context import list_cache
from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.list_cache import load_list, prepare_list, save_list

WORDS = ["Cell wall", "xylem", "xylem", "木质部", "naïve café", "ＧＰＴ", "<|im_end|>", "", "\ud800 lone"]


@pytest.fixture(autouse=True)
def every_list_is_long(monkeypatch):
    monkeypatch.setattr(list_cache, "LONG", 2)
    list_cache._prepare_long.cache_clear()
    yield
    list_cache._prepare_long.cache_clear()


def assert_equal(one, other):
    assert (one.words, one.given) == (other.words, other.given) and [*one.ids] == [*other.ids]
    for name, array in vars(one.index).items():
        assert (getattr(other.index, name) == array).all(), name
        assert getattr(other.index, name).dtype == array.dtype


def test_a_saved_list_comes_back(tokenizer, tmp_path):
    original = BiasingList(WORDS, tokenizer)
    save_list(original, tmp_path / "list.npz")
    assert_equal(load_list(tmp_path / "list.npz"), original)


def test_equal_content_is_prepared_once(tokenizer):
    first = prepare_list(WORDS, tokenizer)
    assert prepare_list(list(WORDS), tokenizer) is first
    assert prepare_list(WORDS[:-1], tokenizer) is not first


def test_the_folder_serves_later_runs(tokenizer, tmp_path, monkeypatch):
    original = prepare_list(WORDS, tokenizer, tmp_path / "index")
    assert len(list((tmp_path / "index").iterdir())) == 1
    list_cache._prepare_long.cache_clear()  # a later run
    monkeypatch.setattr(list_cache, "BiasingList", type("NoTokenizing", (BiasingList,), {"__init__": None}))
    assert_equal(prepare_list(WORDS, tokenizer, tmp_path / "index"), original)


def test_other_words_and_other_tokenizers_get_other_files(tokenizer, tmp_path):
    from funasr_sap.train.scratch import train_tokenizer

    other = train_tokenizer(["the cell wall of the xylem"] * 3, 300, tmp_path / "tokenizer")
    for words, spelt_by in ((WORDS, tokenizer), (WORDS[1:], tokenizer), (WORDS, other)):
        expected = BiasingList(words, spelt_by)
        assert_equal(prepare_list(words, spelt_by, tmp_path / "index"), expected)
    assert len(list((tmp_path / "index").iterdir())) == 3


def test_a_broken_file_is_made_anew(tokenizer, tmp_path, caplog):
    expected = prepare_list(WORDS, tokenizer, tmp_path)
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:100])
    list_cache._prepare_long.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert_equal(prepare_list(WORDS, tokenizer, tmp_path), expected)
    assert path.name in caplog.text
    assert_equal(load_list(path), expected)


def test_short_lists_are_not_kept(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(list_cache, "LONG", 100)
    prepare_list(WORDS, tokenizer, tmp_path / "index")
    assert not (tmp_path / "index").exists()
