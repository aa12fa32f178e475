r"""Make a model directory for SAP² on published weights, which stay where they are.

funasr-sap import-backbone --config conf/sap2_qwen2_audio.yaml --backbone Qwen/Qwen2-Audio-7B-Instruct \
    --hub hf --output-dir exp/qwen2_audio
funasr-sap import-backbone --config conf/sap2_whisper_turbo_qwen3.yaml --output-dir exp/whisper_qwen3 \
    --audio-encoder openai/whisper-large-v3-turbo --llm Qwen/Qwen3-0.6B --hub hf
funasr-sap import-backbone --config conf/sap2_whisper_turbo_qwen3.yaml --output-dir exp/mixed \
    --audio-encoder openai/whisper-large-v3-turbo --llm Qwen/Qwen3-0.6B --hub hf \
    ++audio_adaptor=LinearProjection
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from omegaconf import OmegaConf

from funasr_sap.configurations import find_configuration

PARTS = ("audio_encoder", "audio_adaptor", "llm")


def main(argv: Sequence[str] | None = None) -> None:
    """Find the weights, compare every name, write the directory."""
    parser = _parser()
    arguments = parser.parse_intermixed_args(argv)
    for word in arguments.changes:
        if not word.startswith("+") or "=" not in word:
            parser.error(f"got {word!r}, expected ++key=value")
    changes = OmegaConf.from_dotlist([word.lstrip("+") for word in arguments.changes])
    config = yaml.safe_load(find_configuration(arguments.config).read_text(encoding="utf-8"))
    with contextlib.redirect_stdout(sys.stderr):  # FunASR prints notices; stdout is for results
        import funasr  # noqa: F401  (funasr_sap registers its classes with it)

        from funasr_sap.models.backbone import change_config, import_backbone
        from funasr_sap.models.parts import parameter_table

        model = import_backbone(
            change_config(config, changes),
            arguments.output_dir,
            arguments.backbone,
            arguments.hub,
            {part: getattr(arguments, part) for part in PARTS if getattr(arguments, part)},
            arguments.adapters,
            arguments.tokenizer,
        )
    print(parameter_table(model))


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--config", required=True, help="the model's YAML configuration, or the name of one in this package")
    add("--output-dir", type=Path, required=True, help="the model directory to write")
    add("--backbone", help="weights of encoder, adaptor and LLM: a path, or a name at the hub")
    for part in PARTS:
        add(f"--{part.replace('_', '-')}", help=f"weights of the {part} only")
    add("--adapters", help="LoRA adapters on the backbone, as ms-swift saves them")
    add("--tokenizer", help="the LLM's tokenizer, where the weights have none beside them")
    add("--hub", choices=("ms", "hf"), default="ms", help="ModelScope or Hugging Face")
    add("changes", nargs="*", metavar="++KEY=VALUE", help="another value for a key of the configuration")
    return parser
