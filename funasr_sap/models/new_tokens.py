"""Embeddings of special tokens that a published tokenizer lacks, kept apart from the LLM's own table."""

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from funasr_sap.context.prompt_table import tags


class NewTokens(nn.Module):
    """Rows for tokens that were added to a tokenizer. They train also while the LLM is frozen.

    The LLM never writes these tokens, so they need no place in its output layer.

    Args:
        ids: their ids in the tokenizer.
        llm_dim: width of the rows.
    """

    ids: torch.Tensor

    def __init__(self, ids: list[int], llm_dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(len(ids), llm_dim))
        self.register_buffer("ids", torch.tensor(ids), persistent=False)

    @torch.no_grad()
    def start_from(self, table: torch.Tensor) -> None:
        """Begin with the mean of the LLM's rows, which disturbs it least."""
        self.weight.copy_(table.mean(0, dtype=torch.float32).expand_as(self.weight))

    def forward(self, embedding: nn.Module, input_ids: torch.Tensor) -> torch.Tensor:
        """Embed tokens: (B, S) ids to (B, S, D), the new ones from here, the others by ``embedding``."""
        new = input_ids[..., None] == self.ids
        is_new = new.any(-1)
        known = embedding(torch.where(is_new, 0, input_ids))
        rows = self.weight[new.to(torch.uint8).argmax(-1)].to(known.dtype)
        return torch.where(is_new[..., None], rows, known)


def add_tags(tokenizer: PreTrainedTokenizerFast, style: str) -> list[int]:
    """Give a tokenizer the tags around audio and context that it lacks.

    Returns:
        The ids of those that were added.
    """
    known = tokenizer.get_vocab()
    missing = [token for token in tags(style) if token not in known]
    if not missing:
        return []
    tokenizer.add_tokens(missing, special_tokens=True)
    known = tokenizer.get_vocab()
    return [known[token] for token in missing]
