"""CTC forced alignment of a text: the times of its words, and how likely it is."""

import itertools
import math
import re

import torch
import torchaudio

CHINESE = re.compile(r"[\u3400-\u9fff]")
WORD = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")  # a Chinese character, or a run of others

DELAY = 0.5  # frames from the beginning of a word to its first piece: measured on speech with known times


def word_timestamps(
    log_probs: torch.Tensor, words: list[list[int]], frame_ms: float, blank: int = 0
) -> list[list[int]]:
    """Align words with the CTC posteriors.

    Args:
        log_probs: (frames, V) CTC log posteriors of one utterance, without padding.
        words: the piece ids of each word.
        frame_ms: milliseconds a frame.
        blank: the CTC blank's id.

    Returns:
        [start, end] in ms for each word; empty when the text has more pieces than the speech has frames.
    """
    pieces = [piece for word in words for piece in word]
    if not pieces or not _fits(pieces, log_probs):
        return []
    spans = torchaudio.functional.merge_tokens(*_align(log_probs, pieces, blank), blank=blank)
    times, first, end = [], 0, 0
    for word in words:
        last = first + len(word)
        start = max(end, round((spans[first].start - DELAY) * frame_ms))
        end = round(spans[last - 1].end * frame_ms)
        times.append([start, end])
        first = last
    return times


def log_likelihood(log_probs: torch.Tensor, pieces: list[int], blank: int = 0) -> float:
    """Score a text by its best CTC path, in nats; minus infinity if it has more pieces than fit the frames.

    Args:
        log_probs: (frames, V) CTC log posteriors of one utterance, without padding.
        pieces: its piece ids.
        blank: the CTC blank's id.
    """
    if not pieces:
        return float(log_probs[:, blank].sum())
    return float(_align(log_probs, pieces, blank)[1].sum()) if _fits(pieces, log_probs) else -math.inf


def _fits(pieces: list[int], log_probs: torch.Tensor) -> bool:
    """Tell whether there are frames enough: one a piece, and a blank between two that are the same."""
    return len(pieces) + sum(a == b for a, b in itertools.pairwise(pieces)) <= len(log_probs)


def _align(log_probs: torch.Tensor, pieces: list[int], blank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the best path: its symbols and their log posteriors, (frames,) each."""
    target = torch.tensor([pieces], dtype=torch.int32, device=log_probs.device)
    path, scores = torchaudio.functional.forced_align(log_probs[None].float(), target, blank=blank)
    return path[0], scores[0]
