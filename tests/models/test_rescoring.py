import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from funasr_sap.models.rescoring import Rescoring

COSTS = {"a dislexia test": -1.0, "a dyslexia test": -20.0, "the dyslexia test": -30.0}


def hear(texts):
    return [COSTS[" ".join(words).casefold()] for words in texts]


@pytest.mark.parametrize(
    ("margin", "score", "expected"),
    [
        (35.0, 0.9, "a Dyslexia test"),  # worth what it costs
        (10.0, 0.9, "a dislexia test"),
        (19.5, 0.5, "a Dyslexia test"),
        (19.5, 0.3, "a dislexia test"),  # the less sure a keyword, the less it is worth
    ],
)
def test_a_keyword_outweighs_what_it_costs(margin, score, expected):
    texts = ["the Dyslexia test", "a dislexia test", "a Dyslexia test"]
    assert Rescoring(margin=margin, slope=2.0)(texts, ["dyslexia"], [score], hear) == expected


@given(st.lists(st.text("ab ", max_size=5), min_size=1, max_size=4))
def test_the_first_of_equals_is_chosen(texts):
    assert Rescoring()(texts, [], [], lambda texts: [0.0] * len(texts)) == texts[0]
    assert Rescoring()(texts, [], [], lambda texts: [-math.inf] * len(texts)) == texts[0]
