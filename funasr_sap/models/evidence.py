"""Acoustic evidence as the LLM reads it: a vector for each keyword, from what the CTC head says of it."""

import torch
from torch import nn


class EvidenceEmbedding(nn.Module):
    """Map the evidence of a keyword to a vector that is added to each of its token embeddings.

    The last layer starts at zero, so that a trained LLM begins with the context it knows.

    Args:
        num_features: scalars of evidence a keyword (``Shortlist.features``).
        llm_dim: width of the LLM's embeddings.
        hidden_dim: width of the hidden layer.
    """

    def __init__(self, num_features: int, llm_dim: int, hidden_dim: int = 64):
        super().__init__()
        self.hidden = nn.Linear(num_features, hidden_dim)
        self.output = nn.Linear(hidden_dim, llm_dim)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Embed evidence: (..., num_features) to (..., llm_dim)."""
        return self.output(torch.nn.functional.gelu(self.hidden(features)))
