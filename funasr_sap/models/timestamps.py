"""Word times by CTC forced alignment of the final text."""

import itertools
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
    needed = len(pieces) + sum(a == b for a, b in itertools.pairwise(pieces))
    if not pieces or needed > len(log_probs):
        return []
    target = torch.tensor([pieces], dtype=torch.int32, device=log_probs.device)
    path, scores = torchaudio.functional.forced_align(log_probs[None].float(), target, blank=blank)
    spans = torchaudio.functional.merge_tokens(path[0], scores[0], blank=blank)
    times, first, end = [], 0, 0
    for word in words:
        last = first + len(word)
        start = max(end, round((spans[first].start - DELAY) * frame_ms))
        end = round(spans[last - 1].end * frame_ms)
        times.append([start, end])
        first = last
    return times
