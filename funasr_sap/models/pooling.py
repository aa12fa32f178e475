"""Speech-driven attention-based pooling of the context (SAP², arXiv:2511.11139).

Symbols:
    B   utterances of a batch        D   embedding width        H   attention heads
    Ta  audio embeddings             Tc  context tokens         W   pooling window, in context tokens

The pooling has no parameters: the audio embeddings are the queries, the context embeddings are keys
and values. Masks are bool, True = valid.
"""

import math
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

# Audio frames attended at once: memory stays linear in Ta * Tc / FRAMES_PER_CHUNK.
FRAMES_PER_CHUNK = 512


class SpeechDrivenPooling(nn.Module):
    """Pool each window of W context tokens into one vector, weighted by what the speech looks at.

    With ``A[h, i, j]`` the softmax over context tokens j of ``q[h, i] . k[h, j] / sqrt(D / H)``::

        s[h, j] = mean over real frames i of A[h, i, j]
        w[h, j] = s[h, j] / sum of s[h, j'] over j' in j's window
        pooled  = sum over the window of w[h, j] * v[h, j]

    The release of SAP² takes the softmax over frames instead, which makes every weight equal; that is
    ``mode="mean"`` here.

    Args:
        dim: D, a multiple of ``num_heads``.
        num_heads: H.
        window: W; 1 leaves the context as it is.
        mode: "speech" or "mean" (every valid token of a window weighs the same).

    Raises:
        ValueError: for a width that the heads do not divide, a window below 1, an unknown mode.
    """

    def __init__(self, dim: int, num_heads: int = 4, window: int = 2, mode: str = "speech"):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"dim must be a multiple of num_heads, got {dim} and {num_heads}")
        if window < 1:
            raise ValueError(f"window must be at least 1 context token, got {window}")
        if mode not in ("speech", "mean"):
            raise ValueError(f'mode must be "speech" or "mean", got {mode!r}')
        self.dim, self.num_heads, self.window, self.mode = dim, num_heads, window, mode

    def extra_repr(self) -> str:
        """Describe the pooling in a printed model."""
        return f"dim={self.dim}, num_heads={self.num_heads}, window={self.window}, mode={self.mode!r}"

    def forward(
        self,
        audio: torch.Tensor,
        audio_mask: torch.Tensor,
        context: torch.Tensor,
        context_mask: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pool the context.

        Args:
            audio: (B, Ta, D) audio embeddings.
            audio_mask: (B, Ta) bool.
            context: (B, Tc, D) context embeddings.
            context_mask: (B, Tc) bool.

        Returns:
            pooled: (B, ceil(Tc / W), D), zero where the mask is False.
            mask: (B, ceil(Tc / W)) bool, True where the window holds a valid token.
        """
        weight = self.window_weights(audio, audio_mask, context, context_mask)  # (B, H, Tc)
        batch, tokens, dim = context.shape
        value = context.view(batch, tokens, self.num_heads, dim // self.num_heads)
        # where(), not a product: padding may hold anything, also NaN.
        value = torch.where(context_mask[:, :, None, None], value, 0)
        weighted = value * weight.transpose(1, 2).unsqueeze(-1).to(value.dtype)
        pooled = self._windows(weighted.reshape(batch, tokens, dim), dim=1).sum(2)
        mask = self._windows(context_mask, dim=1).any(2)
        return pooled, mask

    def window_weights(
        self,
        audio: torch.Tensor,
        audio_mask: torch.Tensor,
        context: torch.Tensor,
        context_mask: torch.Tensor,
    ) -> torch.Tensor:
        """Weigh each context token inside its window.

        Returns:
            (B, H, Tc) fp32 weights that sum to 1 over the valid tokens of each window, 0 elsewhere.
        """
        valid = context_mask[:, None, :].expand(-1, self.num_heads, -1).float()
        uniform = valid / self._window_sum(valid).clamp(min=1)
        if self.mode == "mean" or self.window == 1:
            return uniform
        attention = self.attention(audio, audio_mask, context, context_mask)
        total = self._window_sum(attention)
        # A window that the speech ignores wholly (an underflow, or no speech at all) is a plain mean.
        tiny = torch.finfo(attention.dtype).tiny
        return torch.where(total > tiny, attention / total.clamp(min=tiny), uniform)

    def attention(
        self,
        audio: torch.Tensor,
        audio_mask: torch.Tensor,
        context: torch.Tensor,
        context_mask: torch.Tensor,
    ) -> torch.Tensor:
        """Attend to the context, averaged over the real frames: s of the class's equation.

        Returns:
            (B, H, Tc) fp32, 0 at padded tokens.
        """
        key = torch.where(context_mask[..., None], context, 0)
        total = audio.new_zeros(len(audio), self.num_heads, context.shape[1], dtype=torch.float32)
        for start in range(0, audio.shape[1], FRAMES_PER_CHUNK):
            chunk = slice(start, start + FRAMES_PER_CHUNK)
            arguments = (audio[:, chunk], audio_mask[:, chunk], key, context_mask)
            if torch.is_grad_enabled() and audio.shape[1] > FRAMES_PER_CHUNK:
                # Untyped in torch: what it returns is what the function does.
                part: Any = checkpoint(self._attention_sum, *arguments, use_reentrant=False)
                total = total + part
            else:
                total = total + self._attention_sum(*arguments)
        frames = audio_mask.sum(1).clamp(min=1)
        return total / frames[:, None, None]

    def _attention_sum(
        self, audio: torch.Tensor, audio_mask: torch.Tensor, key: torch.Tensor, context_mask: torch.Tensor
    ) -> torch.Tensor:
        """Sum A over the real frames of one chunk: (B, H, Tc) fp32."""
        query = torch.where(audio_mask[..., None], audio, 0)
        query, key = self._heads(query), self._heads(key)
        logits = (query @ key.transpose(2, 3)).float() / math.sqrt(query.shape[-1])  # (B, H, Ta, Tc)
        tokens = context_mask[:, None, None, :]
        logits = logits.masked_fill(~tokens, torch.finfo(logits.dtype).min)
        attention = logits.softmax(-1) * tokens  # a context without any valid token gets 0, not 1 / Tc
        return (attention * audio_mask[:, None, :, None]).sum(2)

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        """Split (B, T, D) into (B, H, T, D / H)."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def _window_sum(self, x: torch.Tensor) -> torch.Tensor:
        """Sum (B, H, Tc) over each token's window, back to (B, H, Tc)."""
        total = self._windows(x, dim=2).sum(-1, keepdim=True).expand(-1, -1, -1, self.window)
        return total.flatten(2)[..., : x.shape[2]]

    def _windows(self, x: torch.Tensor, dim: int) -> torch.Tensor:
        """Cut dimension ``dim`` into windows of W, zero-padded at its end: (..., ceil(Tc / W), W, ...)."""
        missing = -x.shape[dim] % self.window
        if missing:
            shape = list(x.shape)
            shape[dim] = missing
            x = torch.cat([x, x.new_zeros(shape)], dim)
        return x.unflatten(dim, (x.shape[dim] // self.window, self.window))
