"""The letter head: what the encoder heard, spelt out; the second opinion of the span head.

Symbols:
    B   utterances of a batch   T   encoder frames   E  encoder width   V   vocabulary
    P   keywords to judge       L   pieces of the longest one           M   letters of the longest piece
    A   symbols, the blank among them

Masks are bool, True = valid.
"""

import torch
from torch import nn

from funasr_sap.context.alignment import align_keywords

BLANK = 0
LETTERS = " abcdefghijklmnopqrstuvwxyz'"  # a space on both sides of each word; symbol 0 is the blank
SYMBOLS = {letter: place for place, letter in enumerate(LETTERS, start=1)}
PER_FRAME = 2  # a frame is 60 ms: fast speech has more letters than frames
LONGEST = 16  # letters of a piece that are read
NUM_SCALARS = 2


class LetterHead(nn.Module):
    """CTC (Graves et al., 2006) over letters, two steps a frame.

    Pieces of words are few in a frame and made for common words; letters spell rare ones as well, and
    teach the encoder to hear them.

    Args:
        encoder_dim: E.
        hidden_dim: channels of the two convolutions.
    """

    def __init__(self, encoder_dim: int, hidden_dim: int):
        super().__init__()
        self.layer1 = nn.Conv1d(encoder_dim, hidden_dim, 3, padding=1)
        self.layer2 = nn.Conv1d(hidden_dim, hidden_dim, 3, padding=1)
        self.output = nn.Linear(hidden_dim, PER_FRAME * (1 + len(LETTERS)))

    def forward(self, frames: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Spell (B, T, E) frames, (B, T) of them valid: (B, 2 T, A) log posteriors, fp32."""
        x = frames.to(self.output.weight.dtype) * mask[..., None]
        x = nn.functional.gelu(self.layer1(x.transpose(1, 2)))
        x = x + nn.functional.gelu(self.layer2(x * mask[:, None]))
        scores = self.output(x.transpose(1, 2)).unflatten(2, (PER_FRAME, -1))
        return scores.flatten(1, 2).float().log_softmax(-1)


def step_mask(mask: torch.Tensor) -> torch.Tensor:
    """Tell which steps are speech: (B, T) bool to (B, 2 T) bool."""
    return mask.repeat_interleave(PER_FRAME, 1)


def spell(text: str) -> list[int]:
    """Spell a text, a space on both sides; what is no letter is left out."""
    return [SYMBOLS[letter] for letter in f" {' '.join(text.casefold().split())} " if letter in SYMBOLS]


def spell_pieces(tokens: list[str]) -> torch.Tensor:
    """Spell the vocabulary, a word's first piece with the space before it: (V, M) uint8, 0 where padded."""
    table = torch.zeros(len(tokens), LONGEST, dtype=torch.uint8)
    for row, token in enumerate(tokens):
        letters = token.casefold().replace("ġ", " ").replace("▁", " ")  # how tokenizers write the space
        symbols = [SYMBOLS[letter] for letter in letters if letter in SYMBOLS][:LONGEST]
        table[row, : len(symbols)] = torch.tensor(symbols, dtype=torch.uint8)
    return table


def letter_scalars(
    log_probs: torch.Tensor,
    mask: torch.Tensor,
    spelling: torch.Tensor,
    ids: torch.Tensor,
    id_mask: torch.Tensor,
) -> torch.Tensor:
    """Say of each keyword how well the letters support it, with the spaces around it.

    Args:
        log_probs: (B, 2 T, A) of the letter head.
        mask: (B, T) bool.
        spelling: (V, M) of ``spell_pieces``.
        ids: (B, P, L) pieces of the keywords.
        id_mask: (B, P, L) bool.

    Returns:
        (B, P, 2): the score of their alignment a letter, and in all, in about unit range; 0 for a keyword
        without letters.
    """
    score, size = _align_letters(log_probs, mask, spelling, ids, id_mask)
    each = (score / size.clamp(min=1)).clamp(min=-6) / 2
    return torch.stack([each, score.clamp(min=-30) / 10], -1) * (size > 1)[..., None]


def word_scores(
    log_probs: torch.Tensor,
    mask: torch.Tensor,
    spelling: torch.Tensor,
    ids: torch.Tensor,
    id_mask: torch.Tensor,
) -> torch.Tensor:
    """Say what speaks against each keyword as a whole word, in nats: (B, P), at most 0.

    For the arguments see ``letter_scalars``.
    """
    return _align_letters(log_probs, mask, spelling, ids, id_mask)[0]


def _align_letters(log_probs, mask, spelling, ids, id_mask) -> tuple[torch.Tensor, torch.Tensor]:
    """Align keywords with a space on both sides: scores in nats and numbers of letters, each (B, P)."""
    letters = (spelling[ids] * id_mask[..., None]).flatten(2).long()
    letters = torch.cat([letters, torch.full_like(letters[..., :1], SYMBOLS[" "])], 2)
    order = (letters == 0).sort(dim=2, stable=True).indices  # letters first, in their order
    letters = letters.gather(2, order)
    size = (letters > 0).sum(2)
    letters = letters[..., : int(size.max())]
    return align_keywords(log_probs.detach(), step_mask(mask), letters, letters > 0, BLANK).score, size
