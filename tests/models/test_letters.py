"""B utterances, T frames, E encoder width, P keywords."""

import pytest
import torch

from funasr_sap.models.letters import (
    LETTERS,
    SYMBOLS,
    LetterHead,
    letter_scalars,
    spell,
    spell_pieces,
    step_mask,
)

TOKENS = ["<pad>", "Ġcat", "▁Dog", "s", "'s", "猫", "Ġ" + "a" * 40]


def spelt(table):
    return ["".join(LETTERS[symbol - 1] for symbol in row if symbol) for row in table.tolist()]


def test_a_text_is_spelt_with_a_space_around_its_words():
    assert [LETTERS[symbol - 1] for symbol in spell("It's 3  Cats")] == list(" it's  cats ")
    assert spell("") == [SYMBOLS[" "]] * 2


def test_pieces_are_spelt_with_the_space_before_a_word():
    assert spelt(spell_pieces(TOKENS)) == ["pad", " cat", " dog", "s", "'s", "", " " + "a" * 15]


def test_padding_changes_nothing_and_gets_no_gradient():
    torch.manual_seed(0)
    head = LetterHead(6, 8)
    frames = torch.randn(2, 9, 6, requires_grad=True)
    mask = torch.arange(9) < torch.tensor([[9], [5]])
    log_probs = head(frames, mask)
    assert log_probs.shape == (2, 18, 1 + len(LETTERS))
    alone = head(frames[1:, :5], mask[1:, :5])
    torch.testing.assert_close(log_probs[1:, :10], alone)
    log_probs[step_mask(mask)].square().sum().backward()
    assert torch.equal(frames.grad.any(2), mask)
    assert step_mask(mask).sum(1).tolist() == [18, 10]


@pytest.fixture
def heard():
    """Posteriors of one utterance whose steps spell " cats " with blanks between."""
    symbols = [step for symbol in spell("cats") for step in (symbol, 0)]
    log_probs = torch.full((1, len(symbols), 1 + len(LETTERS)), -5.0)
    log_probs[0, torch.arange(len(symbols)), symbols] = -0.01
    return log_probs, torch.ones(1, len(symbols) // 2, dtype=torch.bool)


def test_the_word_that_was_heard_scores_best(heard):
    log_probs, mask = heard
    ids = torch.tensor([[[1, 3], [1, 0], [2, 3], [5, 0]]])  # cats, cat, dogs, and one without letters
    id_mask = torch.tensor([[[True, True], [True, False], [True, True], [True, False]]])
    scalars = letter_scalars(log_probs, mask, spell_pieces(TOKENS), ids, id_mask)[0]
    assert scalars[0].tolist() == [0, 0]  # the greedy path itself
    assert scalars[1, 1] < -0.3  # no space after "cat": a letter stands there
    assert scalars[2, 1] < scalars[1, 1] and scalars[2, 0] < scalars[1, 0]
    assert scalars[3].tolist() == [0, 0]


def test_masked_steps_are_not_heard(heard):
    log_probs, mask = heard
    ids, id_mask = torch.tensor([[[1, 3]]]), torch.ones(1, 1, 2, dtype=torch.bool)
    mask = mask & (torch.arange(mask.shape[1]) < 3)
    assert letter_scalars(log_probs, mask, spell_pieces(TOKENS), ids, id_mask)[0, 0, 1] < -0.9
