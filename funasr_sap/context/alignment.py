"""Keywords aligned with CTC posteriors: the best path that spells each, start and end free.

Symbols:
    B   utterances of a batch       T   encoder frames        V   vocabulary
    N   keywords of a biasing list  L   pieces of the longest keyword
    U   different pieces of a biasing list

Every frame costs its log posterior relative to the likeliest symbol of that frame, so that the greedy path
costs 0 and a keyword that the speech spells costs little. Masks are bool, True = valid.
"""

import dataclasses

import numba
import numpy as np
import torch

# Stands for minus infinity, and stays finite when a few are added.
IMPOSSIBLE = -1e4
_IMPOSSIBLE = np.float32(IMPOSSIBLE)  # as the kernels need it: they count in float32
_FREE = np.float32(0)


@dataclasses.dataclass(frozen=True)
class Alignment:
    """The best CTC path of each keyword.

    Attributes:
        score: (B, N) log posterior of the path relative to the frame-wise best path, at most 0.
        end: (B, N) its last frame.
        places: (B, N, L) the first frame of each piece; 0 where the keyword has none.
    """

    score: torch.Tensor
    end: torch.Tensor
    places: torch.Tensor

    @property
    def start(self) -> torch.Tensor:
        """The first frame of each path: (B, N)."""
        return self.places[..., 0]

    def choose(self, index: torch.Tensor) -> "Alignment":
        """Take the alignments at ``index``, (B, K)."""
        places = self.places.gather(1, index[..., None].expand(-1, -1, self.places.shape[2]))
        return Alignment(self.score.gather(1, index), self.end.gather(1, index), places)


def align_keywords(
    log_probs: torch.Tensor,
    frame_mask: torch.Tensor,
    pieces: torch.Tensor,
    piece_mask: torch.Tensor,
    blank: int = 0,
) -> Alignment:
    """Align every keyword with every utterance by its best CTC path.

    Only the posteriors of pieces that occur leave their device; the recursion runs on the CPU.

    Args:
        log_probs: (B, T, V) CTC log posteriors.
        frame_mask: (B, T) bool.
        pieces: (B, N, L) piece ids.
        piece_mask: (B, N, L) bool, the first of each keyword.
        blank: the CTC blank's id.

    Returns:
        The alignments; a keyword without pieces scores ``IMPOSSIBLE``.
    """
    used, place = _number_pieces(pieces.clamp(min=0), log_probs.shape[2])
    emissions, silence = relative_posteriors(log_probs, frame_mask, used, blank)
    place, lengths = place.cpu().numpy(), piece_mask.sum(-1).cpu().numpy()
    score, end = np.empty(lengths.shape, np.float32), np.empty(lengths.shape, np.int64)
    places = np.zeros(place.shape, np.int64)
    for b in range(len(emissions)):
        _align_list(emissions[b], silence[b], place[b], lengths[b], score[b], end[b], places[b])
    return Alignment(*(torch.from_numpy(field).to(log_probs.device) for field in (score, end, places)))


def _number_pieces(pieces: torch.Tensor, vocab_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """List the pieces that occur, rising, and number each by its place there; ``unique`` sorts them all."""
    occurs = torch.zeros(vocab_size, dtype=torch.bool, device=pieces.device)
    occurs[pieces.flatten()] = True
    return occurs.nonzero()[:, 0], (occurs.cumsum(0) - 1)[pieces]


def relative_posteriors(
    log_probs: torch.Tensor, frame_mask: torch.Tensor, pieces: torch.Tensor, blank: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pick the posteriors of some pieces, relative to the likeliest symbol of each frame.

    Args:
        log_probs: (B, T, V) CTC log posteriors, of any precision.
        frame_mask: (B, T) bool; other frames are impossible.
        pieces: (U,) piece ids.
        blank: the CTC blank's id.

    Returns:
        emissions: (B, U, T) float32, the pieces', at most 0.
        silence: (B, T) float32, the blank's.
    """
    peak = log_probs.amax(-1)
    wanted = torch.cat([pieces, pieces.new_tensor([blank])])
    relative = log_probs.index_select(2, wanted).transpose(1, 2).float() - peak[:, None].float()
    relative = torch.where(frame_mask[:, None], relative, IMPOSSIBLE).contiguous().cpu().numpy()
    return relative[:, :-1], relative[:, -1]


@numba.njit(nogil=True, cache=True)
def _align_list(emissions, silence, keywords, lengths, score, end, places):
    """Align each row of ``keywords`` (N, L), rows of ``emissions`` (U, T), and fill the last three."""
    longest, frames = keywords.shape[1] + 1, len(silence)
    piece = np.full((longest, frames), _IMPOSSIBLE)
    gap = np.full((longest, frames), _IMPOSSIBLE)
    for n in range(len(keywords)):
        last = lengths[n]
        score[n] = _IMPOSSIBLE
        for k in range(last):
            row = keywords[n, k]
            repeated = k > 0 and row == keywords[n, k - 1]
            score[n] = advance(emissions[row], silence, piece, gap, k, repeated)
        end[n] = np.argmax(piece[last]) if last and score[n] > _IMPOSSIBLE else 0
        _trace_back(piece, gap, keywords[n], last, end[n], places[n])


@numba.njit(nogil=True, cache=True)
def advance(emission, silence, piece, gap, k, repeated):
    """Append a piece to the paths of the k pieces before it.

    Args:
        emission: (T,) relative log posterior of the piece.
        silence: (T,) relative log posterior of the blank.
        piece: (L + 1, T) best path that ends at frame t in the k-th piece; row k + 1 is written.
        gap: (L + 1, T) the same, in a blank after it.
        k: pieces before this one.
        repeated: whether the piece before is the same; then a blank must stand between.

    Returns:
        The score of the best path over all frames.
    """
    best = _IMPOSSIBLE
    here, silent = _IMPOSSIBLE, _IMPOSSIBLE
    for t in range(len(emission)):
        enter = _FREE if k == 0 else _IMPOSSIBLE  # a keyword may begin at any frame
        if k > 0 and t > 0:
            enter = gap[k, t - 1]
            if not repeated:
                enter = max(enter, piece[k, t - 1])
        silent = max(silent, here) + silence[t]
        here = max(here, enter) + emission[t]
        piece[k + 1, t], gap[k + 1, t] = here, silent
        best = max(best, here)
    return best


@numba.njit(nogil=True, cache=True)
def _trace_back(piece, gap, keyword, length, end, places):
    """Find the first frame of each piece on the best path that ends in the last piece at frame ``end``."""
    k, t, in_gap = length, end, False
    while t > 0 and k > 0:
        if in_gap:
            in_gap = gap[k, t - 1] >= piece[k, t - 1]
        else:
            repeated = k > 1 and keyword[k - 1] == keyword[k - 2]
            direct = _IMPOSSIBLE if repeated else piece[k - 1, t - 1]
            enter = _FREE if k == 1 else max(gap[k - 1, t - 1], direct)
            if enter > piece[k, t - 1]:
                places[k - 1] = t
                if k == 1:
                    return
                in_gap = gap[k - 1, t - 1] >= direct
                k -= 1
        t -= 1
