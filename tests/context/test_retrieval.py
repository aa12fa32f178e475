"""B utterances, T frames, V pieces, N keywords, L pieces of the longest keyword."""

import itertools
import math

import pytest
import torch

from funasr_sap.context import retrieval
from funasr_sap.context.retrieval import IMPOSSIBLE, Alignment, align_keywords, evidence_features, retrieve

BLANK = 0


def random_log_probs(seed, batch=1, frames=5, vocab=4):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(batch, frames, vocab, generator=generator)).log_softmax(-1)


def sharp_log_probs(path, vocab=12, confidence=0.9):
    """(1, T, V): the pieces of ``path`` frame by frame, each with the same confidence."""
    probs = torch.full((1, len(path), vocab), (1 - confidence) / (vocab - 1))
    probs[0, torch.arange(len(path)), torch.tensor(path)] = confidence
    return probs.log()


def full(log_probs):
    return torch.ones(log_probs.shape[:2], dtype=torch.bool)


def stack(keywords):
    """Keywords as (1, N, L) pieces and mask; padding holds a real piece."""
    length = max(map(len, keywords))
    pieces = torch.tensor([[[*word, *[1] * (length - len(word))] for word in keywords]])
    mask = torch.tensor([[[True] * len(word) + [False] * (length - len(word)) for word in keywords]])
    return pieces, mask


def collapse(path):
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != BLANK)


def brute_force(log_probs, keyword):
    """Best score over all stretches and all paths that spell the keyword and begin and end in a piece."""
    relative = (log_probs - log_probs.amax(-1, keepdim=True))[0]
    best = -math.inf
    for first, last in itertools.combinations_with_replacement(range(len(relative)), 2):
        for path in itertools.product({BLANK, *keyword}, repeat=last - first + 1):
            if collapse(path) == keyword and path[0] != BLANK and path[-1] != BLANK:
                score = sum(float(relative[first + t, symbol]) for t, symbol in enumerate(path))
                best = max(best, score)
    return best


KEYWORDS = [(1,), (2, 3), (3, 3), (1, 2, 1), (2, 2, 2)]


@pytest.mark.parametrize("seed", range(6))
def test_scores_are_those_of_all_paths(seed):
    log_probs = random_log_probs(seed)
    found = align_keywords(log_probs, full(log_probs), *stack(KEYWORDS), BLANK)
    expected = torch.tensor([[brute_force(log_probs, keyword) for keyword in KEYWORDS]])
    torch.testing.assert_close(found.score, expected)
    assert (found.score <= 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_start_and_end_delimit_a_path_of_that_score(seed):
    log_probs = random_log_probs(seed)
    found = align_keywords(log_probs, full(log_probs), *stack(KEYWORDS), BLANK)
    for n, keyword in enumerate(KEYWORDS):
        start, end = int(found.start[0, n]), int(found.end[0, n])
        # The rest of the utterance is out of reach, so that the path must lie inside.
        peak = log_probs[:, start : end + 1].amax(-1, keepdim=True)
        inside = log_probs[:, start : end + 1] - peak
        scores = [
            sum(float(inside[0, t, symbol]) for t, symbol in enumerate(path))
            for path in itertools.product({BLANK, *keyword}, repeat=end - start + 1)
            if collapse(path) == keyword and path[0] != BLANK and path[-1] != BLANK
        ]
        assert max(scores) == pytest.approx(float(found.score[0, n]), abs=1e-5)


def test_a_keyword_on_the_greedy_path_scores_0():
    path = [0, 4, 4, 0, 5, 6, 0, 6, 0]
    found = align_keywords(
        sharp_log_probs(path), full(sharp_log_probs(path)), *stack([(4, 5), (6, 6)]), BLANK
    )
    assert found.score.tolist() == [[0.0, 0.0]]
    assert found.start.tolist() == [[1, 5]] or found.start.tolist() == [[2, 5]]
    assert found.end.tolist() == [[4, 7]]


def test_repeated_pieces_need_a_blank_between():
    together, apart = sharp_log_probs([3, 3, 0, 0]), sharp_log_probs([3, 0, 3, 0])
    for log_probs, is_free in ((together, False), (apart, True)):
        found = align_keywords(log_probs, full(log_probs), *stack([(3, 3)]), BLANK)
        assert (found.score.item() == 0) is is_free
    two_frames = sharp_log_probs([3, 3])
    found = align_keywords(two_frames, full(two_frames), *stack([(3, 3)]), BLANK)
    assert found.score.item() == IMPOSSIBLE


def test_a_keyword_longer_than_the_speech_or_without_pieces_is_impossible():
    log_probs = random_log_probs(0, frames=2)
    pieces, mask = stack([(1, 2, 3), (1,)])
    mask[0, 1] = False
    found = align_keywords(log_probs, full(log_probs), pieces, mask, BLANK)
    assert found.score.tolist() == [[IMPOSSIBLE, IMPOSSIBLE]]


@pytest.mark.parametrize("garbage", [0.0, 50.0, float("nan"), float("inf")])
def test_padded_frames_change_nothing(garbage):
    log_probs = random_log_probs(1, frames=6)
    padded = torch.cat([log_probs, torch.full((1, 4, 4), garbage)], 1)
    mask = torch.arange(10)[None] < 6
    whole = align_keywords(log_probs, full(log_probs), *stack(KEYWORDS), BLANK)
    again = align_keywords(padded, mask, *stack(KEYWORDS), BLANK)
    for name in ("score", "start", "end"):
        assert torch.equal(getattr(whole, name), getattr(again, name))


def test_a_batch_and_a_shared_list_give_what_utterances_give():
    log_probs = random_log_probs(2, batch=4, frames=8)
    frame_mask = torch.arange(8)[None] < torch.tensor([8, 3, 6, 5])[:, None]
    pieces, mask = stack(KEYWORDS)
    shared = align_keywords(log_probs, frame_mask, pieces, mask, BLANK)
    own = align_keywords(log_probs, frame_mask, pieces.expand(4, -1, -1), mask.expand(4, -1, -1), BLANK)
    for b, frames in enumerate(frame_mask.sum(1).tolist()):
        alone = align_keywords(
            log_probs[b : b + 1, :frames], frame_mask[b : b + 1, :frames], pieces, mask, BLANK
        )
        for name in ("score", "start", "end"):
            assert torch.equal(getattr(alone, name)[0], getattr(shared, name)[b])
            assert torch.equal(getattr(alone, name)[0], getattr(own, name)[b])


@pytest.mark.parametrize("size", [1, 2, 100])
def test_chunks_of_keywords_equal_one(size, monkeypatch):
    log_probs = random_log_probs(3, batch=2)
    whole = align_keywords(log_probs, full(log_probs), *stack(KEYWORDS), BLANK)
    monkeypatch.setattr(retrieval, "KEYWORDS_PER_CHUNK", size)
    again = align_keywords(log_probs, full(log_probs), *stack(KEYWORDS), BLANK)
    assert all(torch.equal(getattr(whole, name), getattr(again, name)) for name in ("score", "start", "end"))


def test_bf16_is_aligned_in_full_precision():
    log_probs = random_log_probs(4, frames=40).bfloat16()
    found = align_keywords(log_probs, full(log_probs), *stack(KEYWORDS), BLANK)
    exact = align_keywords(log_probs.float(), full(log_probs), *stack(KEYWORDS), BLANK)
    assert torch.equal(found.score, exact.score)


# Pieces 1 to 11; a word begins with an odd piece.
WORD_START = torch.arange(12) % 2 == 1
SPOKEN = [(1, 2), (3, 4, 6), (5,)]
PATH = [0, 1, 2, 0, 0, 3, 4, 0, 6, 0, 7, 0, 5, 0]
OTHERS = [(a, b) for a in (7, 9, 11) for b in (2, 8, 10)]


def shortlist(keywords, log_probs=None, frame_mask=None, top=5, threshold=-3.0):
    log_probs = sharp_log_probs(PATH) if log_probs is None else log_probs
    frame_mask = full(log_probs) if frame_mask is None else frame_mask
    return retrieve(
        log_probs, frame_mask, *stack(keywords), WORD_START, top=top, threshold=threshold, blank=BLANK
    )


def test_true_keywords_rank_first():
    found = shortlist(OTHERS[:4] + SPOKEN + OTHERS[4:], threshold=-2.0)
    assert set(found.index[0, :3].tolist()) == {4, 5, 6}
    assert found.mask.tolist() == [[True] * 3 + [False] * 2]
    assert found.confidence[0, :3].tolist() == [1.0] * 3
    assert (found.confidence[0].diff() <= 0).all() and (found.confidence >= 0).all()


def test_the_threshold_cuts_in_nats_a_piece():
    word = (1, 8)  # its first piece is spoken, its second costs log(0.9 / (0.1 / 11))
    cost = math.log(0.9 / (0.1 / 11)) / 2
    for threshold, kept in ((-cost - 0.01, True), (-cost + 0.01, False)):
        assert shortlist([word], threshold=threshold).mask.item() is kept
    assert shortlist([word]).confidence.item() == pytest.approx(math.exp(-cost), rel=1e-4)


def test_top_above_the_list_keeps_all():
    found = shortlist(SPOKEN, top=50)
    assert sorted(found.index[0].tolist()) == [0, 1, 2] and found.mask.all()
    assert found.features.shape == (1, 3, retrieval.Shortlist.NUM_FEATURES)


def test_padded_keywords_are_never_kept():
    log_probs = sharp_log_probs(PATH)
    pieces, mask = stack([*SPOKEN, (1,)])
    mask[0, 3] = False
    found = retrieve(
        log_probs, full(log_probs), pieces, mask, WORD_START, top=4, threshold=float("-inf"), blank=BLANK
    )
    assert found.mask.tolist() == [[True, True, True, False]]
    assert found.features.isfinite().all()


@pytest.mark.parametrize("garbage", [torch.full((1, 9, 12), float("nan")), sharp_log_probs([2, 4, 6] * 3)])
def test_padded_frames_and_batching_change_no_shortlist(garbage):
    single = shortlist(SPOKEN + OTHERS)
    log_probs = torch.cat([sharp_log_probs(PATH), garbage], 1)
    mask = torch.arange(len(PATH) + 9)[None] < len(PATH)
    other = random_log_probs(5, frames=len(PATH) + 9, vocab=12)
    batch = shortlist(
        SPOKEN + OTHERS, torch.cat([log_probs, other]), torch.cat([mask, torch.ones_like(mask)])
    )
    for name in ("index", "mask", "confidence", "features"):
        torch.testing.assert_close(getattr(batch, name)[:1], getattr(single, name))


def test_features_say_what_was_found():
    found = shortlist([*SPOKEN, (1, 8)], top=4, threshold=float("-inf"))
    features = {index: found.features[0, k].tolist() for k, index in enumerate(found.index[0].tolist())}
    cost = math.log(0.9 / (0.1 / 11))
    # score / 2, total / 8, margin / 4, pieces / 4, goes on
    assert features[1] == pytest.approx([0, 0, 8 / 4, 3 / 4, 0])  # nothing overlaps it
    assert features[0][:4] == pytest.approx([0, 0, cost / 2 / 4, 2 / 4], rel=1e-4)
    assert features[3][:4] == pytest.approx([-cost / 2 / 2, -cost / 8, -cost / 2 / 4, 2 / 4], rel=1e-4)


def test_goes_on_where_the_heard_word_is_longer():
    # "3 4" is heard inside "3 4 6"; "1 2" is followed by a new word; "5" by nothing.
    found = shortlist([(3, 4), (1, 2), (5,), (3, 4, 6)])
    goes_on = {index: found.features[0, k, 4].item() for k, index in enumerate(found.index[0].tolist())}
    assert goes_on == {0: 1.0, 1: 0.0, 2: 0.0, 3: 0.0}


def test_features_of_worst_evidence_are_bounded():
    one = torch.ones(1, 1, dtype=torch.long)
    found = Alignment(torch.full((1, 1), IMPOSSIBLE), 0 * one, 0 * one)
    features = evidence_features(found, one, 0 * one, torch.zeros(1, 3, dtype=torch.bool))
    assert features.tolist() == [[[-4.0, -3.0, 0.0, 0.25, 0.0]]]
