"""Names that SAP²-ASR (``swift sft``) gives to what our configuration has under other names."""

from collections.abc import Mapping

# swift's name -> our section and key.
SEED_KEYS = {
    "freeze_vit": ("audio_encoder_conf", "freeze"),
    "freeze_aligner": ("audio_adaptor_conf", "freeze"),
    "freeze_llm": ("llm_conf", "freeze"),
    "sap_window_size": ("context_pooling_conf", "window"),
    "num_attention_heads": ("context_pooling_conf", "num_heads"),
    "compressor_hidden_size": ("context_pooling_conf", "dim"),
    "lora_rank": ("llm_conf", "lora_conf.r"),
    "lora_alpha": ("llm_conf", "lora_conf.lora_alpha"),
    "lora_dropout": ("llm_conf", "lora_conf.lora_dropout"),
}


def translate(config: Mapping) -> dict:
    """Move SAP²-ASR's keys of a configuration to where ours are.

    Args:
        config: top-level keys and sections; not changed.

    Returns:
        A configuration without SAP²-ASR's keys. They count more than ours, which a directory always has.
    """
    translated = {key: value for key, value in config.items() if key not in SEED_KEYS}
    for name, (section, path) in SEED_KEYS.items():
        if config.get(name) is None:
            continue
        conf = dict(translated.get(section) or {})
        translated[section] = conf
        *parents, key = path.split(".")
        for parent in parents:
            conf[parent] = conf = dict(conf.get(parent) or {})
        conf[key] = config[name]
    return translated
