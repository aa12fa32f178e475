"""The language model: any causal one of transformers, from its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from funasr_sap.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    class LLM(PreTrainedModel):
        """A model of transformers that writes text: it has no class for them."""

        def get_input_embeddings(self) -> nn.Embedding:
            """Return the table of token embeddings."""
            ...

        def generate(self, **options: Any) -> torch.Tensor:
            """Write on: (B, S) token ids."""
            ...


def build_llm(model_type: str, vocab_size: int, attn_implementation: str | None = None, **conf) -> LLM:
    """Build a causal LLM with random weights.

    Args:
        model_type: transformers' name of the architecture, such as "qwen3".
        vocab_size: rows of the embedding, unless ``conf`` says it.
        attn_implementation: "sdpa", "flash_attention_2" or "eager"; None for transformers' choice.
        **conf: fields of the architecture's configuration.

    Raises:
        ConfigError: for an architecture or a field that transformers does not know.
    """
    try:
        config = AutoConfig.for_model(model_type)
    except ValueError:
        raise ConfigError(f"llm: transformers has no architecture {model_type!r}; try 'qwen3'") from None
    unknown = [key for key in conf if not hasattr(config, key)]
    if unknown:
        raise ConfigError(f"llm_conf: {type(config).__name__} has no field {', '.join(map(repr, unknown))}")
    config = AutoConfig.for_model(model_type, **{"vocab_size": vocab_size, **conf})
    try:
        llm = AutoModelForCausalLM.from_config(config, attn_implementation=attn_implementation)
    except (ImportError, ValueError) as error:  # flash-attention that is not installed, an unknown name
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"llm_conf.attn_implementation: {attn_implementation!r}: {reason}") from None
    llm.set_output_embeddings(OutputLayer.from_linear(llm.get_output_embeddings()))
    return llm


class OutputLayer(nn.Linear):
    """An output layer that decodes in the precision of its weights, also under autocast.

    Logits of 10 in bf16 are 0.06 apart: equal for words that are not equally likely.
    """

    @classmethod
    def from_linear(cls, layer: nn.Linear) -> OutputLayer:
        """Take the place of a layer, with its own parameters."""
        output = cls(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        output.weight, output.bias = layer.weight, layer.bias
        return output

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Map (..., D) hidden states to (..., V) logits."""
        if self.training:
            return super().forward(hidden)
        with torch.autocast(hidden.device.type, enabled=False):
            return super().forward(hidden.to(self.weight.dtype))
