"""What the encoder and the pooling hand on: speech and context, embedded.

Symbols:
    B   utterances of a batch   T   encoder frames   E  encoder width   Ta  audio embeddings
    V   vocabulary              Tc  context tokens   W  pooling window  D   LLM width
    A   letters and the blank
"""

import dataclasses

import torch

BLANK = 0  # the CTC blank's id


@dataclasses.dataclass(frozen=True)
class Speech:
    """What the encoder made of a batch; computed once, shared by both stages.

    Attributes:
        frames: (B, T, E) encoder output.
        frame_mask: (B, T) bool.
        log_probs: (B, T, V) CTC log posteriors; None without a CTC head.
        audio: (B, Ta, D) audio embeddings.
        audio_mask: (B, Ta) bool.
        letters: (B, 2 T, A) log posteriors of letters; None without a span head.
        transcripts: B texts to look for keywords in, where there is no CTC head; None = the LLM writes them.
    """

    frames: torch.Tensor
    frame_mask: torch.Tensor
    log_probs: torch.Tensor | None
    audio: torch.Tensor
    audio_mask: torch.Tensor
    letters: torch.Tensor | None = None
    transcripts: list[str] | None = None


@dataclasses.dataclass(frozen=True)
class Context:
    """Keywords as the LLM is given them.

    Attributes:
        embeddings: (B, ceil(Tc / W), D) pooled context.
        mask: (B, ceil(Tc / W)) bool.
    """

    embeddings: torch.Tensor
    mask: torch.Tensor


def take(batch, rows: list[int]):
    """Take utterances, some several times, out of a batch: any dataclass of tensors (B, ...), or None."""
    if batch is None:
        return None
    fields = {each.name: getattr(batch, each.name) for each in dataclasses.fields(batch)}
    return type(batch)(**{name: None if value is None else value[rows] for name, value in fields.items()})
