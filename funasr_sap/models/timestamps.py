"""CTC paths of whole texts: the times of their words, and how likely they are."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
import torch
import torchaudio

DELAY = 0.5  # frames from the beginning of a word to its first piece: measured on speech with known times


class AlignedWord(NamedTuple):
    """Where a word is heard.

    Attributes:
        start: ms from the beginning of the audio.
        end: ms.
        confidence: mean posterior of its pieces, in [0, 1].
    """

    start: int
    end: int
    confidence: float


def align_words(
    log_probs: torch.Tensor, words: list[list[int]], frame_ms: float, blank: int = 0
) -> list[AlignedWord]:
    """Align words with the CTC posteriors.

    Args:
        log_probs: (frames, V) CTC log posteriors of one utterance, without padding.
        words: the piece ids of each word.
        frame_ms: milliseconds a frame.
        blank: the CTC blank's id.

    Returns:
        The words; none when the text has more pieces than the speech has frames.
    """
    pieces = [piece for word in words for piece in word]
    if not pieces or not _fits(pieces, log_probs):
        return []
    target = torch.tensor([pieces], dtype=torch.int32, device=log_probs.device)
    path, scores = torchaudio.functional.forced_align(log_probs[None].float(), target, blank=blank)
    spans = torchaudio.functional.merge_tokens(path[0], scores[0].exp(), blank=blank)
    aligned, first, end = [], 0, 0
    for word in words:
        last = first + len(word)
        if not word:  # of signs that the tokenizer does not know
            aligned.append(AlignedWord(end, end, 0.0))
            continue
        start = max(end, round((spans[first].start - DELAY) * frame_ms))
        end = round(spans[last - 1].end * frame_ms)
        confidence = sum(span.score for span in spans[first:last]) / len(word)
        aligned.append(AlignedWord(start, end, round(float(confidence), 4)))
        first = last
    return aligned


def log_likelihoods(log_probs: torch.Tensor, texts: Sequence[Sequence[int]], blank: int = 0) -> list[float]:
    """Score texts by their best CTC paths, in nats; minus infinity where one has more pieces than fit.

    Repair asks for some thirty texts a keyword, of which torchaudio's alignment takes one at a time.

    Args:
        log_probs: (frames, V) CTC log posteriors of one utterance, without padding.
        texts: the piece ids of each.
        blank: the CTC blank's id.
    """
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    used, places = np.unique(np.array([*itertools.chain(*texts)], np.int64), return_inverse=True)
    emissions = log_probs[:, torch.from_numpy(used).to(log_probs.device)].float().cpu().numpy()
    return _score_texts(emissions, log_probs[:, blank].float().cpu().numpy(), places, ends).tolist()


@numba.njit(nogil=True, cache=True)
def _score_texts(emissions, silence, pieces, ends):
    """Score texts that stand one after another in ``pieces``; ``emissions``: (frames, different pieces)."""
    scores = np.empty(len(ends), np.float32)
    start = 0
    for n in range(len(ends)):
        scores[n] = _score_text(emissions, silence, pieces[start : ends[n]])
        start = ends[n]
    return scores


@numba.njit(nogil=True, cache=True)
def _score_text(emissions, silence, text):
    """Find the score of the best path: blanks (``gap``, k of them after k pieces) and pieces in turn."""
    gap = np.full(len(text) + 1, np.float32(-np.inf))
    piece = np.full(len(text), np.float32(-np.inf))
    gap[0] = 0
    for t in range(len(silence)):
        for k in range(len(text) - 1, -1, -1):  # from the end: what comes before is still of the last frame
            gap[k + 1] = max(gap[k + 1], piece[k]) + silence[t]
            enter = gap[k]
            if k > 0 and text[k] != text[k - 1]:  # else a blank must stand between
                enter = max(enter, piece[k - 1])
            piece[k] = max(piece[k], enter) + emissions[t, text[k]]
        gap[0] += silence[t]
    return max(gap[-1], piece[-1]) if len(text) else gap[0]


def _fits(pieces: list[int], log_probs: torch.Tensor) -> bool:
    """Tell whether there are frames enough: one a piece, and a blank between two that are the same."""
    return len(pieces) + sum(a == b for a, b in itertools.pairwise(pieces)) <= len(log_probs)
