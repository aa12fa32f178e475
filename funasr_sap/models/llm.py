"""The language model: any causal one of transformers, from its configuration."""

from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from funasr_sap.errors import ConfigError


def build_llm(
    model_type: str, vocab_size: int, attn_implementation: str | None = None, **conf
) -> PreTrainedModel:
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
    return AutoModelForCausalLM.from_config(config, attn_implementation=attn_implementation)
