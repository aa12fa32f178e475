import math

import hypothesis.strategies as st
import pytest
from hypothesis import given
from rapidfuzz.distance import Levenshtein

from funasr_sap.models.repair import Repair

WORDS = st.text("abcdefg", min_size=1, max_size=8)
TEXTS = st.lists(WORDS, max_size=8).map(" ".join)


def hear(spoken):
    """A CTC head that heard these letters: each that differs costs 5 nats."""
    heard = spoken.replace(" ", "")
    return lambda texts: [
        -5.0 * Levenshtein.distance(text.casefold().replace(" ", ""), heard) for text in texts
    ]


@pytest.mark.parametrize(
    ("text", "keyword", "spoken", "expected"),
    [
        ("hepatic is not a heavy hepatic", "picnic", "hepatic is not a heavy picnic", None),
        ("look at the phobos and it", "cheabosho", "look at the phobos cheabosho and it", None),
        ("by light by model", "bimodal", "by light bimodal", None),
        ("my prereedowax prereedowax", "Pivot", "my pivot prereedowax", "my Pivot prereedowax"),
        ("a nural netwerk here", "neural network", "a neural network here", None),
        ("she has it now", "dyslexia", "she has it now", "she has it now"),
        ("DYSLEXIA is written", "dyslexia", "dyslexia is written", "DYSLEXIA is written"),
        ("", "dyslexia", "dyslexia", ""),
    ],
)
def test_a_spoken_keyword_goes_where_it_is_heard(text, keyword, spoken, expected):
    assert Repair()(text, [keyword], [0.9], hear(spoken)) == (spoken if expected is None else expected)


def test_the_less_sure_a_keyword_the_less_it_may_cost():
    text, heard = "the iton now", hear("the iton now")  # "ayton" costs 10 nats
    assert Repair(margin=10.1, slope=4.0)(text, ["ayton"], [0.5], heard) == "the ayton now"
    assert Repair(margin=10.1, slope=4.0)(text, ["ayton"], [0.4], heard) == text
    assert Repair(margin=10.1, slope=0.0)(text, ["ayton"], [0.4], heard) == "the ayton now"
    assert Repair(confidence=0.95)(text, ["ayton"], [0.9], heard) == text
    assert Repair()("the iton now", ["ayton"], [1.0], hear("the iton now")) == "the ayton now"


def test_what_has_no_room_in_the_speech_is_not_written():
    assert (
        Repair()("the iton now", ["ayton"], [0.9], lambda texts: [-math.inf] * len(texts)) == "the iton now"
    )


@pytest.mark.parametrize(
    ("text", "keyword", "expected"),
    [
        ("she has dislexia now", "dyslexia", "she has dyslexia now"),
        ("the bolson are partner", "bolsonaro", "the bolsonaro partner"),
        ("seen by a nural netwerk here", "neural network", "seen by a neural network here"),
        ("nothing like it", "dyslexia", "nothing like it"),
        ("我们学神经王络。", "神经网络", "我们学神经网络。"),
        ("The bolsonar, a partner.", "Bolsonaro", "The Bolsonaro, a partner."),
    ],
)
def test_without_a_ctc_head_it_goes_over_what_looks_like_it(text, keyword, expected):
    assert Repair()(text, [keyword], [0.9]) == expected


def test_a_keyword_never_replaces_another_and_the_surest_comes_first():
    keywords = ["severin", "severn"]
    for heard in (None, hear("the severin flows")):
        assert Repair()("the severn flows", keywords[::-1], [0.9, 0.1], heard) == "the severn flows"
    assert Repair()("the seven flows", keywords, [0.7, 0.9]) == "the severn flows"


@given(TEXTS, st.lists(WORDS, unique=True, max_size=4), TEXTS)
def test_repair_keeps_what_was_right(text, keywords, spoken):
    repaired = Repair()(text, keywords, [0.9] * len(keywords), hear(spoken)).split()
    assert all(word in repaired for word in text.split() if word in keywords)
    assert len(repaired) <= len(text.split()) + len(keywords)
