"""N keywords, T frames, V pieces."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from funasr_sap.context import keyword_index
from funasr_sap.context.alignment import IMPOSSIBLE, align_keywords
from funasr_sap.context.biasing_list import pad_ids
from funasr_sap.context.keyword_index import KeywordIndex
from funasr_sap.context.spellings import Spellings, pack

VOCAB = 7
KEYWORDS = st.lists(
    st.lists(st.integers(1, VOCAB - 1), min_size=1, max_size=5).map(tuple), min_size=1, max_size=40
)


def spell_all(ids):
    return Spellings.join([pack(keyword) for keyword in ids])


def random_log_probs(seed, frames):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(frames, VOCAB, generator=generator)).log_softmax(-1)


def worth_of_all(ids, log_probs, reward):
    """Score with reward of every keyword, by aligning each."""
    mask = torch.ones(1, len(log_probs), dtype=torch.bool)
    found = align_keywords(log_probs[None], mask, *pad_ids([ids]))
    return found.score[0] + reward * torch.tensor([len(keyword) for keyword in ids])


def search(ids, log_probs, top, reward=2.0, mask=None):
    mask = torch.ones(len(log_probs), dtype=torch.bool) if mask is None else mask
    return KeywordIndex.build(spell_all(ids)).search(log_probs, mask, top, reward)


def spell(index):
    """Read the keywords back from the tree, by their place in the list."""
    path, words = [], {}
    for node, (column, depth) in enumerate(zip(index.column, index.depth, strict=True)):
        path[depth:] = [int(index.pieces[column])]
        for place in index.order[index.first[node] : index.first[node + 1]]:
            words[int(place)] = tuple(path)
    return [words[place] for place in range(len(index))]


@given(KEYWORDS)
def test_the_tree_holds_every_keyword(ids):
    index = KeywordIndex.build(spell_all(ids))
    assert spell(index) == ids
    nodes = {keyword[:length] for keyword in ids for length in range(1, len(keyword) + 1)}
    assert len(index.column) == len(nodes)  # each beginning stands once


@given(
    KEYWORDS, st.integers(0, 1000), st.integers(1, 12), st.integers(1, 45), st.sampled_from([0.5, 2.0, 6.0])
)
def test_search_finds_what_aligning_all_ranks_first(ids, seed, frames, top, reward):
    log_probs = random_log_probs(seed, frames)
    worth = worth_of_all(ids, log_probs, reward)
    found = search(ids, log_probs, top, reward)
    assert len(set(found.tolist())) == len(found) == min(top, len(ids))
    # Equal keywords may stand for each other, and so may those that are too long for the speech.
    worth = worth.clamp(min=IMPOSSIBLE / 2)
    torch.testing.assert_close(worth[found], worth.sort(descending=True).values[: len(found)])


def test_search_among_thousands_and_at_every_first_depth(monkeypatch):
    rng = np.random.default_rng(0)
    ids = [tuple(rng.integers(1, VOCAB, rng.integers(1, 9)).tolist()) for _ in range(3000)]
    log_probs = random_log_probs(3, 30)
    expected = worth_of_all(ids, log_probs, 4.0).sort(descending=True).values[:50]
    for depth in (0.5, 16.0, 1e9):
        monkeypatch.setattr(keyword_index, "FIRST_DEPTH", depth)
        found = search(ids, log_probs, 50, 4.0)
        torch.testing.assert_close(worth_of_all(ids, log_probs, 4.0)[found], expected)


@pytest.mark.parametrize("frames", [0, 1, 4])
def test_speech_too_short_for_any_keyword_still_gives_as_many(frames):
    found = search([(1, 2, 3, 1, 2)] * 2 + [(4, 4, 4)], random_log_probs(0, frames), 3)
    assert sorted(found.tolist()) == [0, 1, 2]


def test_padded_frames_change_nothing():
    ids = [(1, 2), (2, 3, 1), (4,), (5, 6), (1, 2, 3)]
    log_probs = random_log_probs(5, 8)
    padded = torch.cat([log_probs, torch.full((4, VOCAB), float("nan"))])
    expected = search(ids, log_probs, 5)
    assert search(ids, padded, 5, mask=torch.arange(12) < 8).tolist() == expected.tolist()
