"""Coarse retrieval: what the CTC head says about each keyword of a biasing list.

Symbols:
    B   utterances of a batch       T   encoder frames        V   vocabulary
    N   keywords of a biasing list  L   pieces of the longest keyword

A keyword is aligned with the CTC posteriors of the utterance, start and end free. Every frame costs
its log posterior relative to the likeliest symbol of that frame, so that the greedy path costs 0 and a
keyword that the speech spells costs little. Masks are bool, True = valid.
"""

import dataclasses

import torch

# Keywords aligned at once: bounds the memory at B * T * KEYWORDS_PER_CHUNK * L scores.
KEYWORDS_PER_CHUNK = 2048
# Stands for minus infinity, and stays finite when a few are added.
IMPOSSIBLE = -1e4


@dataclasses.dataclass(frozen=True)
class Alignment:
    """The best CTC path of each keyword, each field (B, N).

    Attributes:
        score: log posterior of the path relative to the frame-wise best path, at most 0.
        start: its first frame.
        end: its last frame.
    """

    score: torch.Tensor
    start: torch.Tensor
    end: torch.Tensor


def align_keywords(
    log_probs: torch.Tensor,
    frame_mask: torch.Tensor,
    pieces: torch.Tensor,
    piece_mask: torch.Tensor,
    blank: int = 0,
) -> Alignment:
    """Align every keyword with every utterance by its best CTC path.

    Args:
        log_probs: (B, T, V) CTC log posteriors.
        frame_mask: (B, T) bool.
        pieces: (B or 1, N, L) piece ids; 1 shares one biasing list.
        piece_mask: (B or 1, N, L) bool, at least one piece a keyword.
        blank: the CTC blank's id.

    Returns:
        The alignments; a keyword without pieces scores ``IMPOSSIBLE``.
    """
    log_probs = log_probs.float()
    relative = log_probs - log_probs.amax(-1, keepdim=True)
    relative = torch.where(frame_mask[..., None], relative, IMPOSSIBLE)
    chunks = zip(pieces.split(KEYWORDS_PER_CHUNK, 1), piece_mask.split(KEYWORDS_PER_CHUNK, 1), strict=True)
    parts = [_align_chunk(relative, p, m, blank) for p, m in chunks]
    return Alignment(*(torch.cat(field, 1) for field in zip(*parts, strict=True)))


def _align_chunk(relative, pieces, piece_mask, blank):
    """Run the Viterbi recursion over frames for one chunk of keywords."""
    batch, frames, _ = relative.shape
    pieces = pieces.clamp(min=0).expand(batch, -1, -1)
    _, num, length = pieces.shape
    emit = relative.gather(2, pieces.reshape(batch, 1, -1).expand(-1, frames, -1)).view(
        batch, frames, num, length
    )
    silence = relative[..., blank]
    repeated = torch.zeros_like(pieces, dtype=torch.bool)
    repeated[..., 1:] = pieces[..., 1:] == pieces[..., :-1]
    last = (piece_mask.sum(-1).clamp(min=1) - 1).expand(batch, -1)[..., None]

    piece = relative.new_full((batch, num, length), IMPOSSIBLE)  # best path that ends in piece l
    gap = piece.clone()  # ... in a blank after piece l
    piece_from = torch.zeros_like(pieces)  # the frame at which that path started
    gap_from = piece_from.clone()
    best = relative.new_full((batch, num), IMPOSSIBLE)
    start, end = piece_from[..., 0].clone(), piece_from[..., 0].clone()
    for t in range(frames):
        before, before_from = _shift(gap, gap_from, 0.0, t)
        direct, direct_from = _shift(piece, piece_from, IMPOSSIBLE, t)
        direct = direct.masked_fill(repeated, IMPOSSIBLE)  # equal neighbours need a blank between them
        before, before_from = _better(before, before_from, direct, direct_from)
        stay, stay_from = _better(piece, piece_from, before, before_from)
        gap, gap_from = _better(gap, gap_from, piece, piece_from)
        gap = gap + silence[:, t, None, None]
        piece, piece_from = stay + emit[:, t], stay_from
        score = piece.gather(2, last)[..., 0]
        better = score > best
        best = torch.where(better, score, best)
        start = torch.where(better, piece_from.gather(2, last)[..., 0], start)
        end = end.masked_fill(better, t)
    best = best.masked_fill(~piece_mask.any(-1).expand(batch, -1), IMPOSSIBLE)
    return best, start, end


def _shift(score, origin, first, frame):
    """Move each state to the next piece; the first piece begins a new path at this frame."""
    score = torch.cat([torch.full_like(score[..., :1], first), score[..., :-1]], -1)
    origin = torch.cat([torch.full_like(origin[..., :1], frame), origin[..., :-1]], -1)
    return score, origin


def _better(a, a_from, b, b_from):
    """Keep the better of two paths into each state; a tie keeps the first."""
    return torch.maximum(a, b), torch.where(b > a, b_from, a_from)


@dataclasses.dataclass(frozen=True)
class Shortlist:
    """The keywords that the speech supports best, by falling evidence.

    Attributes:
        index: (B, K) positions in the biasing list.
        mask: (B, K) bool, True = a keyword was kept here.
        confidence: (B, K) in [0, 1], the geometric mean over pieces of the relative posteriors.
        features: (B, K, 5) the evidence that the LLM is given; see ``evidence_features``.
    """

    index: torch.Tensor
    mask: torch.Tensor
    confidence: torch.Tensor
    features: torch.Tensor

    NUM_FEATURES = 5


def retrieve(
    log_probs: torch.Tensor,
    frame_mask: torch.Tensor,
    pieces: torch.Tensor,
    piece_mask: torch.Tensor,
    word_start: torch.Tensor,
    *,
    top: int,
    threshold: float,
    blank: int = 0,
) -> Shortlist:
    """Rank a biasing list by acoustic evidence and cut it.

    Args:
        log_probs: (B, T, V) CTC log posteriors.
        frame_mask: (B, T) bool.
        pieces: (B or 1, N, L) piece ids.
        piece_mask: (B or 1, N, L) bool.
        word_start: (V,) bool, True = the piece begins a word.
        top: keywords kept at most, K.
        threshold: least score per piece, in nats.
        blank: the CTC blank's id.

    Returns:
        The shortlist, of ``min(top, N)`` columns.
    """
    found = align_keywords(log_probs, frame_mask, pieces, piece_mask, blank)
    lengths = piece_mask.sum(-1).clamp(min=1).expand_as(found.score)
    per_piece = found.score / lengths
    index = per_piece.topk(min(top, per_piece.shape[1]), dim=1).indices
    features = evidence_features(found, lengths, index, _cut_short(log_probs, frame_mask, word_start, blank))
    kept = per_piece.gather(1, index)
    real = piece_mask.any(-1).expand_as(per_piece).gather(1, index)
    return Shortlist(index, real & (kept > threshold), kept.exp(), features)


def evidence_features(
    found: Alignment, lengths: torch.Tensor, index: torch.Tensor, cut_short: torch.Tensor
) -> torch.Tensor:
    """Describe the evidence of the shortlisted keywords.

    Args:
        found: alignments of the whole list, fields (B, N).
        lengths: (B, N) pieces of each keyword.
        index: (B, K) the shortlisted ones.
        cut_short: (B, T) bool, True = a word goes on after this frame.

    Returns:
        (B, K, 5): score per piece, total score, margin of the score per piece over the best other
        shortlisted keyword that overlaps it in time, length in pieces, and whether the word that was
        heard goes on where the keyword ends. Scaled to about unit range.
    """
    total, start, end = (field.gather(1, index) for field in (found.score, found.start, found.end))
    length = lengths.gather(1, index)
    per_piece = total / length
    overlaps = (start[:, :, None] <= end[:, None, :]) & (start[:, None, :] <= end[:, :, None])
    overlaps &= ~torch.eye(index.shape[1], dtype=torch.bool, device=index.device)
    rival = torch.where(overlaps, per_piece[:, None, :], -8.0).amax(2).clamp(min=-8.0)
    goes_on = cut_short.gather(1, end).to(total.dtype)
    columns = (
        per_piece.clamp(min=-8.0) / 2,
        total.clamp(min=-24.0) / 8,
        (per_piece.clamp(min=-8.0) - rival) / 4,
        length.to(total.dtype) / 4,
        goes_on,
    )
    return torch.stack(columns, -1)


def _cut_short(log_probs, frame_mask, word_start, blank):
    """Tell for each frame whether the next piece of the greedy path continues a word: (B, T) bool."""
    greedy = log_probs.argmax(-1)
    emits = (greedy != blank) & frame_mask
    emits[:, 1:] &= greedy[:, 1:] != greedy[:, :-1]
    position = torch.arange(greedy.shape[1], device=greedy.device).expand_as(greedy)
    # The next emission strictly after each frame: a running minimum from the right.
    upcoming = torch.where(emits, position, greedy.shape[1]).flip(1).cummin(1).values.flip(1)
    upcoming = torch.cat([upcoming[:, 1:], torch.full_like(upcoming[:, :1], greedy.shape[1])], 1)
    exists = upcoming < greedy.shape[1]
    following = greedy.gather(1, upcoming.clamp(max=greedy.shape[1] - 1))
    return exists & ~word_start[following]
