"""From encoder frames to audio embeddings, whatever the adaptor's interface.

Symbols:
    B   utterances   T   encoder frames   Ta  audio embeddings
    E   encoder width   D  LLM width   V   vocabulary
"""

import torch
from torch import nn


def adapt(
    adaptor: nn.Module,
    frames: torch.Tensor,
    frame_mask: torch.Tensor,
    ctc_log_probs: torch.Tensor | None,
    token_embeddings: torch.Tensor,
    blank: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Call an adaptor: one that reads the CTC posteriors gets them, FunASR's take frames and their lengths.

    Args:
        adaptor: the adaptor.
        frames: (B, T, E).
        frame_mask: (B, T) bool.
        ctc_log_probs: (B, T, V), None without a CTC head.
        token_embeddings: (V, D).
        blank: the CTC blank's id.

    Returns:
        audio: (B, Ta, D).
        mask: (B, Ta) bool.
    """
    if getattr(adaptor, "reads_ctc", False):
        return adaptor(frames, frame_mask, ctc_log_probs, token_embeddings, blank)
    lengths = frame_mask.sum(1)
    # Frames stacked with the last ones of an utterance must not depend on what it is batched with.
    frames = torch.where(frame_mask[..., None], frames, 0)[:, : int(lengths.max())]
    audio, lengths = adaptor(frames, lengths)
    return audio, mask_of(lengths, audio.shape[1])


def truncate(audio_mask: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Keep the leading eighth of the audio embeddings, as Fun-ASR-Nano's ``use_low_frame_rate`` does.

    The encoder and the adaptor attend over everything; the weights learned to write it into the first places.

    Args:
        audio_mask: (B, Ta) bool.
        frames: (B,) frames of the features.

    Returns:
        (B, Ta) bool.
    """
    for _ in range(3):
        frames = (frames - 1) // 2 + 1
    return audio_mask & mask_of(frames, audio_mask.shape[1])


def mask_of(lengths: torch.Tensor, size: int) -> torch.Tensor:
    """Mark the first ``lengths`` of ``size`` places: (B, size) bool."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]
