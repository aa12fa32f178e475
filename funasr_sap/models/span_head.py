"""The span head: whether a keyword is spoken, judged by the frames that its pieces are aligned with.

Symbols:
    B   utterances of a batch   T   encoder frames            E   encoder width   V   vocabulary
    P   keywords to judge       L   pieces of the longest one  S   pieces of all   C   channels
    M   letters of the longest piece

Masks are bool, True = valid.
"""

import torch
from torch import nn

from funasr_sap.context.alignment import Alignment
from funasr_sap.context.retrieval import Evidence
from funasr_sap.models.encoded import Encoded
from funasr_sap.models.letters import NUM_SCALARS, LetterHead, letter_scalars

LEAST = -8.0  # nats; what is worse than this is as bad as this
NUM_PIECE_SCALARS, NUM_KEYWORD_SCALARS = 3, 6


class SpanHead(nn.Module):
    """Judge keywords by their alignments.

    The CTC posteriors tell how likely a piece is in its frame, whatever the frame. The encoder's frame itself
    says more: how the piece was heard, and what else it may have been. Each piece meets its frame, as in a
    product of both; convolutions over the pieces look at neighbours, and their mean and maximum are read
    together with the evidence that the alignment gives, and with what a letter head has heard. The frames
    get no gradient from the judgement; the letters have a loss of their own, which teaches the encoder.

    Args:
        encoder_dim: E.
        hidden_dim: half of the channels, C / 2.
        letter_dim: channels of the letter head.
    """

    def __init__(self, encoder_dim: int, hidden_dim: int = 64, letter_dim: int = 128):
        super().__init__()
        channels = 2 * hidden_dim
        self.frame = nn.Linear(encoder_dim, hidden_dim)
        self.piece = nn.Linear(encoder_dim, hidden_dim)
        self.scalars = nn.Linear(NUM_PIECE_SCALARS, hidden_dim)
        # Not in a ModuleList: FSDP gathers the members of one as they run, and without lists these do not.
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.layer1, self.layer2 = (nn.Conv1d(channels, channels, 3, padding=1) for _ in range(2))
        self.letters = LetterHead(encoder_dim, letter_dim)
        self.hidden = nn.Linear(2 * channels + NUM_KEYWORD_SCALARS + NUM_SCALARS, hidden_dim)
        self.output = nn.Linear(hidden_dim, 1)

    def forward(
        self,
        encoded: Encoded,
        table: torch.Tensor,
        spelling: torch.Tensor,
        evidence: Evidence,
        blank: int = 0,
    ) -> torch.Tensor:
        """Judge the keywords of a batch.

        Args:
            encoded: the batch, with the posteriors of CTC head and letter head.
            table: (V, E) the CTC head's row of each piece.
            spelling: (V, M) the letters of each piece; see ``spell_pieces``.
            evidence: of P keywords an utterance.
            blank: the CTC blank's id.

        Returns:
            (B, P) log odds that a keyword is spoken, fp32.
        """
        dtype = self.output.weight.dtype
        place = torch.arange(evidence.ids.shape[2], device=table.device)
        mask = place < evidence.pieces[..., None]  # (B, P, L)
        row = torch.arange(len(mask), device=table.device)[:, None, None]
        ids = evidence.ids.clamp(min=0)
        # Pieces side by side, S in all: most places would be padding.
        frames = encoded.frames.detach()[row.expand_as(mask)[mask], evidence.found.places[mask]].to(dtype)
        frame, piece = self.frame(frames), self.piece(table.detach().to(dtype)[ids[mask]])
        scalars = _piece_scalars(encoded.heard_pieces, row, evidence.found, ids, blank)[mask].to(dtype)
        met = nn.functional.gelu(frame + piece + self.scalars(scalars))
        first = (place == 0).expand_as(mask)[mask]
        x = self._see_neighbours(torch.cat([met, frame * piece], -1), first)
        spelt = letter_scalars(encoded.heard_letters, encoded.frame_mask, spelling, ids, mask)
        read = [_pool(x, mask), _keyword_scalars(evidence).to(dtype), spelt.to(dtype)]
        x = self.hidden(torch.cat(read, -1))
        return self.output(nn.functional.gelu(x)).squeeze(-1).float()

    def _see_neighbours(self, x: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        """Let pieces see those beside them: (S, C), (S,) whether one is its keyword's first."""
        place = torch.arange(len(x), device=x.device) + first.cumsum(0)  # a gap before each keyword
        for norm, layer in ((self.norm1, self.layer1), (self.norm2, self.layer2)):
            spaced = x.new_zeros(len(x) + int(first.sum()) + 1, x.shape[1])
            spaced[place] = norm(x).to(x.dtype)
            seen = layer(spaced.T.contiguous()[None])[0].T[place]  # a view takes half as long again
            x = x + nn.functional.gelu(seen)
        return x


def _pool(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Take the mean and the maximum of each keyword's pieces: (S, C) to (B, P, 2 C)."""
    padded = x.new_zeros(*mask.shape, x.shape[1])
    padded[mask] = x
    mask = mask[..., None]
    mean = padded.sum(2) / mask.sum(2).clamp(min=1)
    most = padded.masked_fill(~mask, float("-inf")).amax(2)
    return torch.cat([mean, most.masked_fill(~mask.any(2), 0)], -1)  # 0: no keyword here


def _piece_scalars(
    log_probs: torch.Tensor, row: torch.Tensor, found: Alignment, ids: torch.Tensor, blank: int
) -> torch.Tensor:
    """Say of each piece how likely it is in its frame, and the blank, and how long it lasts: (B, P, L, 3)."""
    heard = log_probs[row, found.places, ids] - log_probs.amax(-1)[row, found.places]
    silent = log_probs[row, found.places, blank].exp()
    until = torch.cat([found.places[..., 1:], found.places[..., -1:]], -1)
    lasts = (until - found.places).clamp(0, 10) / 4
    return torch.stack([heard.clamp(min=LEAST) / 3, lasts, silent], -1)


def _keyword_scalars(evidence: Evidence) -> torch.Tensor:
    """Scale the evidence of the alignment to about unit range: (B, P, 6)."""
    score, pieces = evidence.found.score, evidence.pieces
    columns = (
        (score / pieces.clamp(min=1)).clamp(min=LEAST) / 2,
        score.clamp(min=3 * LEAST) / 8,
        pieces / 4,
        evidence.goes_on,
        evidence.share.clamp(min=LEAST) / 4,
        evidence.size.clamp(min=1).log10().expand_as(score) / 3,
    )
    return torch.stack([column.float() for column in columns], -1)
