"""Audio adaptor: from encoder frames to embeddings that the LLM reads.

Symbols:
    B   utterances   T   encoder frames   Ta  audio embeddings   E  encoder width   D  LLM width
    V   vocabulary, shared by the CTC head and the LLM
"""

import torch
from funasr.register import tables
from torch import nn


@tables.register("adaptor_classes", "CTCAdaptor")
class CTCAdaptor(nn.Module):
    """Keep the frames that the CTC head does not call blank, and tell the LLM what it heard there.

    Each kept frame is the sum of a projection of the encoder's output and of the LLM's own token
    embeddings weighted by the CTC posteriors, so that a small LLM need not learn to read speech from
    nothing.

    Args:
        encoder_dim: E.
        llm_dim: D.
        hidden_dim: width of the projection's hidden layer.
        blank_threshold: a frame is dropped when its blank posterior is above this.
        dropout_rate: dropout of the projection, in training.
    """

    def __init__(
        self,
        encoder_dim: int,
        llm_dim: int,
        hidden_dim: int = 256,
        blank_threshold: float = 0.9,
        dropout_rate: float = 0.0,
    ):
        super().__init__()
        self.blank_threshold = blank_threshold
        self.projection = nn.Sequential(
            nn.LayerNorm(encoder_dim),
            nn.Linear(encoder_dim, hidden_dim),
            nn.GELU(),
            nn.Dropout(dropout_rate),
            nn.Linear(hidden_dim, llm_dim),
        )

    def forward(
        self,
        encoder_out: torch.Tensor,
        frame_mask: torch.Tensor,
        ctc_log_probs: torch.Tensor,
        token_embeddings: torch.Tensor,
        blank: int = 0,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Adapt encoder frames.

        Args:
            encoder_out: (B, T, E).
            frame_mask: (B, T) bool.
            ctc_log_probs: (B, T, V).
            token_embeddings: (V, D), the LLM's input embeddings.
            blank: the CTC blank's id.

        Returns:
            audio: (B, Ta, D), Ta the most frames kept by an utterance, 0 for a silent batch.
            mask: (B, Ta) bool.
        """
        posterior = ctc_log_probs.exp()
        keep = frame_mask & (posterior[..., blank] < self.blank_threshold)
        order = (~keep).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(keep.sum(1).max())]
        mask = keep.gather(1, order)
        heard = posterior.gather(1, order[..., None].expand(-1, -1, posterior.shape[-1])).clone()
        heard[..., blank] = 0
        heard = heard / heard.sum(-1, keepdim=True).clamp(min=1e-6)
        frames = encoder_out.gather(1, order[..., None].expand(-1, -1, encoder_out.shape[-1]))
        return self.projection(frames) + heard.to(frames.dtype) @ token_embeddings, mask
