"""B utterances, T frames, V pieces, N keywords, L pieces of the longest keyword."""

import itertools
import math

import pytest
import torch

from funasr_sap.context.alignment import IMPOSSIBLE, align_keywords

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


@pytest.mark.parametrize("seed", range(6))
def test_places_are_the_first_frames_of_the_pieces_on_the_best_path(seed):
    log_probs = random_log_probs(seed, frames=6)
    found = align_keywords(log_probs, full(log_probs), *stack(KEYWORDS), BLANK)
    relative = (log_probs - log_probs.amax(-1, keepdim=True))[0]
    for n, keyword in enumerate(KEYWORDS):
        start, end = int(found.start[0, n]), int(found.end[0, n])
        paths = [
            path
            for path in itertools.product({BLANK, *keyword}, repeat=end - start + 1)
            if collapse(path) == keyword and path[0] != BLANK and path[-1] != BLANK
        ]
        best = max(paths, key=lambda path: sum(float(relative[start + t, s]) for t, s in enumerate(path)))
        begins = [start + t for t, s in enumerate(best) if s != BLANK and (t == 0 or best[t - 1] != s)]
        length = len(keyword)
        assert found.places[0, n].tolist() == begins + [0] * (found.places.shape[2] - length)


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
    for name in ("score", "places", "end"):
        assert torch.equal(getattr(whole, name), getattr(again, name))


def test_a_batch_gives_what_utterances_give():
    log_probs = random_log_probs(2, batch=4, frames=8)
    frame_mask = torch.arange(8)[None] < torch.tensor([8, 3, 6, 5])[:, None]
    pieces, mask = stack(KEYWORDS)
    batch = align_keywords(log_probs, frame_mask, pieces.repeat(4, 1, 1), mask.repeat(4, 1, 1), BLANK)
    for b, frames in enumerate(frame_mask.sum(1).tolist()):
        alone = align_keywords(
            log_probs[b : b + 1, :frames], frame_mask[b : b + 1, :frames], pieces, mask, BLANK
        )
        for name in ("score", "places", "end"):
            assert torch.equal(getattr(alone, name)[0], getattr(batch, name)[b])


def test_bf16_is_aligned_in_full_precision():
    log_probs = random_log_probs(4, frames=40).bfloat16()
    found = align_keywords(log_probs, full(log_probs), *stack(KEYWORDS), BLANK)
    exact = align_keywords(log_probs.float(), full(log_probs), *stack(KEYWORDS), BLANK)
    assert torch.equal(found.score, exact.score)
