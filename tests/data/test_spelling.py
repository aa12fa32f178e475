import random
import re

import pytest

from funasr_sap.data.spelling import ALIKE, respell, respell_in_text


@pytest.mark.parametrize("word", ["photosynthesis", "chlorophyll", "saddleback", "kecras"])
def test_a_change_is_one_of_the_table(word):
    pairs = [*ALIKE, *(pair[::-1] for pair in ALIKE)]
    one_change = {
        word[: m.start()] + new + word[m.end() :] for old, new in pairs for m in re.finditer(old, word)
    }
    drawn = {respell(word, random.Random(seed), changes=1) for seed in range(200)}
    assert len(drawn) > 5 and drawn <= one_change | {word}
    assert len(drawn & one_change) > 5


def test_the_seed_decides():
    assert respell("photosynthesis", random.Random(3)) == respell("photosynthesis", random.Random(3))
    assert len({respell("photosynthesis", random.Random(seed)) for seed in range(30)}) > 20


@pytest.mark.parametrize("word", ["", "木质部", "42", "(*"])
def test_what_nothing_fits_stays(word):
    assert respell(word, random.Random(0)) == word


def test_a_word_is_respelt_the_same_way_everywhere():
    text, (word,) = respell_in_text("xylem and xylem's xylems", ["xylem"], random.Random(1))
    assert word != "xylem"
    assert text == f"{word} and {word}'s xylems"


def test_words_keep_their_order_and_doubles():
    words = ["flexors", "bains", "flexors"]
    text, new = respell_in_text("the flexors of bains", words, random.Random(0))
    assert new[0] == new[2] != new[1]
    assert text == f"the {new[0]} of {new[1]}"


def test_a_word_that_is_not_in_the_text_stays():
    text, words = respell_in_text("Flexors-like rise", ["flexor", "bains"], random.Random(0))
    assert (text, words) == ("Flexors-like rise", ["flexor", "bains"])


@pytest.mark.parametrize("word", ["c++", "a\\1 name", "(bains)", "new york"])
def test_words_with_signs(word):
    text, (new,) = respell_in_text(f"we use {word} here", [word], random.Random(2))
    assert text == f"we use {new} here"


def test_no_words():
    assert respell_in_text("the xylem", [], random.Random(0)) == ("the xylem", [])
