import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from transformers import LogitsProcessorList

from funasr_sap.errors import ConfigError
from funasr_sap.models.boosting import KeywordBoost
from funasr_sap.models.decoding import DecodingOptions

VOCAB = 6
PIECES = st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=4)


def gains(written, *rows, **options):
    """What is added to flat scores, (B, V)."""
    boost = KeywordBoost(rows, **{"start": 1.0, "inside": 10.0} | options)
    scores = torch.randn(len(rows), VOCAB)
    return (boost(torch.tensor(written, dtype=torch.long).reshape(len(rows), -1), scores) - scores).round(
        decimals=4
    )


def test_an_unwritten_keyword_may_begin_and_goes_on():
    keyword = ((3, 4, 5), 1.0)
    assert gains([[]], [keyword]).tolist() == [[0, 0, 0, 1, 0, 0]]
    assert gains([[1, 3]], [keyword]).tolist() == [[0, 0, 0, 0, 10, 0]]
    assert gains([[1, 3, 4]], [keyword]).tolist() == [[0, 0, 0, 0, 0, 10]]
    assert gains([[3, 4, 1]], [keyword]).tolist() == [[0, 0, 0, 1, 0, 0]]  # it was left, and may begin anew


def test_a_written_keyword_does_not_begin_again_but_goes_on_where_it_does():
    keyword = ((3, 4), 1.0)
    assert not gains([[3, 4]], [keyword]).any()
    assert not gains([[3, 4, 1]], [keyword]).any()
    assert gains([[3, 4, 3]], [keyword]).tolist() == [[0, 0, 0, 0, 10, 0]]


def test_the_longest_match_counts_where_a_keyword_repeats_itself():
    assert gains([[2, 2, 2]], [((2, 2, 2, 5), 1.0)]).tolist() == [[0, 0, 0, 0, 0, 10]]


def test_evidence_scales_the_bonus_and_shared_pieces_get_the_best_one():
    weak, strong = ((3, 4), 0.25), ((3, 5), 0.81)
    assert gains([[]], [weak, strong], power=0.5).tolist() == [[0, 0, 0, pytest.approx(0.9), 0, 0]]
    assert gains([[3]], [weak, strong], power=0.5).tolist() == [
        [0, 0, 0, 0, pytest.approx(5), pytest.approx(9)]
    ]


@given(st.lists(st.tuples(PIECES, PIECES), min_size=1, max_size=4), st.integers(0, 3))
def test_a_batch_gets_what_its_rows_get(rows, length):
    written = [(a + b + [0] * length)[:length] for a, b in rows]
    keywords = [[(tuple(a), 0.5), (tuple(b), 1.0)] for a, b in rows]
    together = gains(written, *keywords)
    for row, (ids, offered) in enumerate(zip(written, keywords, strict=True)):
        assert gains([ids], offered).tolist() == [together[row].tolist()]


def test_a_bonus_makes_a_model_write_the_keyword(small_model):
    keyword = (17, 18, 19)
    embeddings = small_model.llm.get_input_embeddings()(torch.tensor([[5, 6, 7]]))
    options = {"inputs_embeds": embeddings, "max_new_tokens": 3, "do_sample": False, "pad_token_id": 0}
    options["attention_mask"] = torch.ones(1, 3, dtype=torch.long)
    plain = small_model.llm.generate(**options)
    boost = LogitsProcessorList([KeywordBoost([[(keyword, 1.0)]], start=1e4, inside=1e4)])
    boosted = small_model.llm.generate(**options, logits_processor=boost)
    assert plain.tolist() != [list(keyword)] and boosted.tolist() == [list(keyword)]


@pytest.mark.parametrize("wrong", ["2", -1.0, None])
def test_a_wrong_strength_is_an_error(wrong):
    with pytest.raises(ConfigError, match="boost: expected a number from 0"):
        DecodingOptions(boost=wrong)
