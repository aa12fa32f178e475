"""Sounds are written as in ``phonetics.SYMBOLS``; "^" stands before one that begins a word."""

import pytest
import torch

from funasr_sap.context import phonetics
from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.retrieval import retrieve_by_sound


def sounds(text):
    names = ["-", *phonetics.SYMBOLS, *(f"^{name}" for name in phonetics.SYMBOLS)]
    return "".join(names[symbol] for symbol in phonetics.spell(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photosynthesis", "^fotosinTesis"),
        ("Knight", sounds("nit")),
        ("queen", sounds("kwean")),
        ("phloem", sounds("floem")),
        ("Naïve", sounds("naive")),
        ("cell wall", "^sel^wal"),
        ("Cell, WALL!", "^sel^wal"),
        ("北京", "^b__ei^j__ing"),
        ("学", "^x__ue"),
        ("2018 ...", ""),
        ("", ""),
    ],
)
def test_texts_are_read_aloud(text, expected):
    assert sounds(text) == expected


@pytest.mark.parametrize(("one", "other"), [("倍", "贝"), ("公事", "工式"), ("phase", "faze")])
def test_words_that_sound_alike_have_nearly_one_spelling(one, other):
    difference = [a != b for a, b in zip(phonetics.spell(one), phonetics.spell(other), strict=True)]
    assert sum(difference) <= 1


def test_what_is_written_is_likeliest_and_a_blank_costs_nothing_between():
    likelihoods, mask = phonetics.hear(["cell wall", "x"])
    assert mask.sum(1).tolist() == [2 * 6 + 1, 2 * 1 + 1]
    assert likelihoods[0, 1::2].argmax(1).tolist() == phonetics.spell("cell wall")
    assert (likelihoods[0, 0::2].argmax(1) == phonetics.BLANK).all()
    assert likelihoods.amax(2)[mask].eq(0).all()


HEARD = "the brtney forest rests on fotosinthesis and the sumer of zang wei"
SPOKEN = ["britney", "photosynthesis", "Sommer", "Zhang Wei"]
OTHERS = ["brisket", "mitosis", "somersault", "Wang Li", "xylem", "cytoplasm", "kitten", "2018", "..."]


def test_misspelt_keywords_are_found_by_sound(tokenizer):
    words = OTHERS[:5] + SPOKEN + OTHERS[5:]
    biasing_list = BiasingList(words, tokenizer)
    found = retrieve_by_sound([HEARD], [biasing_list], top=4)
    assert {biasing_list.words[place] for place in found.index[0]} == set(SPOKEN)
    assert found.mask.all()


def test_chinese_keywords_are_found_by_sound(tokenizer):
    words = ["张伟", "北京大学", "光和作用", "木质部"]
    biasing_list = BiasingList(words, tokenizer)
    found = retrieve_by_sound(["章卫说光合作用在这里"], [biasing_list], top=2)
    assert sorted(found.index[0].tolist()) == [0, 2] and found.mask.all()


def test_nothing_is_heard_in_an_empty_transcript_and_signs_are_never_heard(tokenizer):
    biasing_list = BiasingList(["britney", "2018"], tokenizer)
    assert not retrieve_by_sound([""], [biasing_list], top=2).mask.any()
    found = retrieve_by_sound(["britney 2018"], [biasing_list], top=2)
    kept = {
        place for place, kept in zip(found.index[0].tolist(), found.mask[0].tolist(), strict=True) if kept
    }
    assert kept == {0}


def test_a_batch_gives_what_its_transcripts_give(tokenizer):
    biasing_list = BiasingList(SPOKEN + OTHERS, tokenizer)
    batch = retrieve_by_sound([HEARD, "the kitten"], [biasing_list] * 2, top=5)
    alone = retrieve_by_sound(["the kitten"], [biasing_list], top=5)
    assert torch.equal(batch.mask[1:], alone.mask)
    torch.testing.assert_close(batch.confidence[1:][alone.mask], alone.confidence[alone.mask])
