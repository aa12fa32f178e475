import pytest
import torch

from funasr_sap.models.timestamps import WORD, word_timestamps


def sharp(path, vocab=8):
    """(frames, V) posteriors of 0.99 on each piece of a path."""
    probs = torch.full((len(path), vocab), 0.01 / (vocab - 1))
    probs[torch.arange(len(path)), torch.tensor(path)] = 0.99
    return probs.log()


def test_words_stand_where_their_pieces_are():
    log_probs = sharp([0, 0, 1, 1, 2, 0, 3, 0, 0, 4, 5, 5])
    assert word_timestamps(log_probs, [[1, 2], [3], [4, 5]], 60.0) == [[120, 300], [360, 420], [540, 720]]


def test_repeated_pieces():
    assert word_timestamps(sharp([1, 0, 1, 0, 1]), [[1, 1], [1]], 10.0) == [[0, 30], [40, 50]]
    assert word_timestamps(sharp([1, 1]), [[1], [1]], 10.0) == []  # a blank must stand between them


def test_a_fractional_frame_is_rounded_to_ms():
    assert word_timestamps(sharp([0, 1, 0]), [[1]], 62.5) == [[62, 125]]


@pytest.mark.parametrize("words", [[], [[1, 2, 3, 4]]])
def test_no_words_or_too_many_pieces(words):
    assert word_timestamps(sharp([1, 2, 0]), words, 60.0) == []


def test_another_blank():
    assert word_timestamps(sharp([7, 0, 7]), [[0]], 10.0, blank=7) == [[10, 20]]


def test_half_precision():
    log_probs = sharp([0, 1, 0, 2])
    assert word_timestamps(log_probs.bfloat16(), [[1], [2]], 10.0) == word_timestamps(
        log_probs, [[1], [2]], 10.0
    )


def test_times_rise_even_for_text_that_was_not_said():
    torch.manual_seed(0)
    times = word_timestamps(torch.randn(20, 8).log_softmax(-1), [[1, 2], [3], [3], [4, 5, 5]], 60.0)
    flat = [time for word in times for time in word]
    assert len(times) == 4 and flat == sorted(flat) and flat[0] >= 0 and flat[-1] <= 1200


def test_what_a_word_is():
    assert WORD.findall("the  cell-wall's 木质部 GPT中文 42") == [
        "the",
        "cell-wall's",
        *"木质部",
        "GPT",
        *"中文",
        "42",
    ]
