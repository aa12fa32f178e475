import hypothesis.strategies as st
import pytest
from hypothesis import given

from funasr_sap.errors import ConfigError
from funasr_sap.models.rescoring import Rescoring

COSTS = {"a dislexia test": -1.0, "a dyslexia test": -20.0, "the dyslexia test": -30.0}


def hear(texts):
    return [COSTS[text.casefold()] for text in texts]


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
    worths = Rescoring(margin=margin, slope=2.0).worths_without_llm(texts, ["dyslexia"], [score], hear)
    assert texts[worths.index(max(worths))] == expected


@given(st.lists(st.text("ab ", max_size=5), max_size=4), st.floats(-100, 0))
def test_without_keywords_the_worth_is_what_is_heard(texts, heard):
    assert Rescoring().worths_without_llm(texts, [], [], lambda texts: [heard] * len(texts)) == [heard] * len(
        texts
    )


def test_a_confidence_that_is_none_is_refused():
    with pytest.raises(
        ConfigError, match=r"^rescoring_conf\.confidence: expected a confidence from 0 to 1, got 1\.5$"
    ):
        Rescoring(confidence=1.5)
