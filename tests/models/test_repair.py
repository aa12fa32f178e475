import hypothesis.strategies as st
import pytest
from hypothesis import given

from funasr_sap.models.repair import Repair

TEXTS = st.lists(st.text("abcdefg", min_size=1, max_size=8), max_size=8).map(" ".join)


@pytest.mark.parametrize(
    ("text", "keyword", "expected"),
    [
        ("she has dislexia now", "dyslexia", "she has dyslexia now"),
        ("the bolson are partner", "bolsonaro", "the bolsonaro partner"),
        ("the phobosho and it", "Phobos", "the Phobos and it"),
        ("seen by a nural netwerk here", "neural network", "seen by a neural network here"),
        ("nothing like it", "dyslexia", "nothing like it"),
        ("DYSLEXIA is written", "dyslexia", "DYSLEXIA is written"),
        ("", "dyslexia", ""),
        ("神经王络", "神经网络", "神经王络"),
    ],
)
def test_a_spoken_keyword_replaces_what_looks_like_it(text, keyword, expected):
    assert Repair()(text, [keyword], [0.9]) == expected


def test_an_unsure_keyword_replaces_nothing():
    assert Repair(confidence=0.8)("she has dislexia", ["dyslexia"], [0.7]) == "she has dislexia"
    assert Repair(similarity=101)("she has dislexia", ["dyslexia"], [0.9]) == "she has dislexia"


def test_a_keyword_never_replaces_another_and_the_surest_comes_first():
    keywords = ["severin", "severn"]
    assert Repair()("the severn flows", keywords, [0.9, 0.9]) == "the severn flows"
    assert Repair()("the seven flows", keywords, [0.7, 0.9]) == "the severn flows"


@given(TEXTS, st.lists(st.text("abcdefg", min_size=1, max_size=8), unique=True, max_size=4))
def test_repair_is_done_at_once_and_keeps_what_was_right(text, keywords):
    scores = [0.9] * len(keywords)
    repaired = Repair()(text, keywords, scores)
    assert Repair()(repaired, keywords, scores) == repaired
    assert all(word in repaired.split() for word in text.split() if word in keywords)
