"""The embedded model learned English letters; its tokenizer spells everything, down to bytes."""

import logging

import pytest
import torch

from funasr_sap.context import biasing_list
from funasr_sap.context.biasing_list import BiasingList, encode_keyword
from funasr_sap.context.hearing import Hearing, learned_pieces


@pytest.fixture(autouse=True)
def nothing_named_before(monkeypatch):
    monkeypatch.setattr(biasing_list, "_unheard_before", set())


def spelt(hearing, word):
    return hearing.tokenizer.decode(hearing.spell(word)).strip()


@pytest.mark.parametrize(
    "word", ["東京", "中文", "---", "!!!", "100%", "第一章", "😀", "2021", "42", "мир", "C++", "Q3"]
)
def test_what_the_head_has_not_learned_is_not_heard(word, hearing):
    assert hearing.spell(word) == ()


@pytest.mark.parametrize(
    ("word", "heard"),
    [
        ("naïve", "naive"),
        ("Zürich", "zurich"),
        ("ｆｕｌｌ", "full"),
        ("GPT-4", "gpt"),
        ("COVID-19", "covid"),
        ("AT&T", "at t"),
        ("cell-wall", "cell wall"),
        ("O’Brien", "obrien"),
        ("according", "according"),  # one piece, which the training data never had
    ],
)
def test_a_keyword_is_heard_by_what_has_sounds(word, heard, hearing):
    assert spelt(hearing, word) == heard
    assert hearing.hears(hearing.spell(word))


@pytest.mark.parametrize("word", ["xylem", "V", "photosynthesis", "cell wall"])
def test_ordinary_keywords_are_spelt_as_before(word, hearing):
    assert hearing.spell(word) == encode_keyword(hearing.tokenizer, word)


def test_ordinary_lists_stay_what_they_are(hearing, caplog):
    offered = BiasingList(["xylem", "V", "cell wall"], hearing.tokenizer)
    assert offered.heard_by(hearing) is offered and not caplog.text


def test_a_list_is_respelt_once_and_names_once_what_is_not_heard(hearing, caplog):
    words = ["xylem", "2021", "naïve", "東京", "中文", "---", "42", "7", "phloem"]
    with caplog.at_level(logging.WARNING):
        offered = BiasingList(words, hearing.tokenizer)
        heard = offered.heard_by(hearing)
        assert offered.heard_by(hearing) is heard
        BiasingList(words[:5], hearing.tokenizer).heard_by(hearing)
    assert len(caplog.records) == 1
    assert "6 of 9 left out" in caplog.text and "2021, 東京, 中文, ---, 42, ..." in caplog.text
    assert [*heard.ids] == [hearing.spell(word) for word in words] and heard.words == offered.words
    assert heard.num_heard == 3


def test_pieces_are_learned_where_their_rows_differ_from_those_of_special_tokens():
    torch.manual_seed(0)
    weight = torch.randn(20, 16)
    weight[10:] = torch.randn(16) + 0.01 * torch.randn(10, 16)
    assert learned_pieces(weight, [10, 11]).nonzero()[:, 0].tolist() == [*range(10)]
    assert learned_pieces(torch.randn(20, 16), [10, 11]).sum() == 18  # nothing is pushed together yet
    assert learned_pieces(weight, []).all()


def test_another_head_hears_other_things(hearing):
    tokenizer = hearing.tokenizer
    digits = hearing.learned.copy()
    digits[tokenizer.convert_tokens_to_ids([*"0123456789"])] = True
    assert Hearing(tokenizer, torch.from_numpy(digits)).spell("2021") == encode_keyword(tokenizer, "2021")
