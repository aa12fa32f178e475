"""The language model: any causal one of transformers, from its configuration or from its weights."""

from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from funasr_sap.errors import ConfigError


def build_llm(
    model_type: str, vocab_size: int, init_param_path: str | None = None, **conf
) -> PreTrainedModel:
    """Build a causal LLM.

    Args:
        model_type: transformers' name of the architecture, such as "qwen3".
        vocab_size: rows of the embedding, when it is built from configuration.
        init_param_path: a transformers directory to load instead; ``conf`` then overrides its configuration.
        **conf: fields of the architecture's configuration.

    Raises:
        ConfigError: for an architecture or a field that transformers does not know.
    """
    if init_param_path:
        return AutoModelForCausalLM.from_pretrained(init_param_path, **conf)
    try:
        config = AutoConfig.for_model(model_type)
    except ValueError:
        raise ConfigError(f"llm: transformers has no architecture {model_type!r}; try 'qwen3'") from None
    unknown = [key for key in conf if not hasattr(config, key)]
    if unknown:
        raise ConfigError(f"llm_conf: {type(config).__name__} has no field {', '.join(map(repr, unknown))}")
    config = AutoConfig.for_model(model_type, vocab_size=vocab_size, **conf)
    return AutoModelForCausalLM.from_config(config)
