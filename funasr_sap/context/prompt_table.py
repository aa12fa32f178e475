"""The table of prompts, ``prompts.yaml`` beside this file: texts by style, task and language."""

import functools
import re
from pathlib import Path

import yaml

from funasr_sap.errors import ConfigError

TASKS = ("transcribe", "transcribe_with_context", "prune", "joint")
STYLES = ("sap2", "sap2_asr", "fun_asr_nano", "qwen2_audio", "mala_asr", "osum")


@functools.lru_cache(maxsize=len(STYLES))
def load_prompts(style: str = "sap2") -> dict:
    """Read the table of prompts of one style.

    Raises:
        ConfigError: for an unknown style.
    """
    table = yaml.safe_load(Path(__file__).with_name("prompts.yaml").read_text(encoding="utf-8"))
    styles = table.pop("styles")
    if style != "sap2" and style not in styles:
        raise ConfigError(f"prompt_conf.style: expected one of {', '.join(STYLES)}, got {style!r}")
    return table | styles.get(style, {})


def tags(style: str = "sap2") -> list[str]:
    """List the special tokens that stand around audio and context, in the order of the table."""
    return [tag for pair in load_prompts(style)["tags"].values() for tag in pair]


def special_tokens(style: str = "sap2") -> list[str]:
    """List every special token that the prompts use, in the order of the table."""
    prompts = load_prompts(style)
    found = re.findall(r"<\|[^|]*\|>", prompts["chat"] + prompts["end"])
    return list(dict.fromkeys(found + tags(style)))
