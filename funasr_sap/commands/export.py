"""Export a trained model as a directory to share: configuration, tokenizer, weights alone, and a model card.

funasr-sap export --model-dir exp/mini/stage3 --output-dir exp/my_model --dtype fp16
funasr-sap export --model-dir exp/mini/stage3 --output-dir exp/my_model_hf --format hf
"""

import argparse
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> None:
    """Read the checkpoint, write the directory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--model-dir", type=Path, required=True, help="a model directory, as training leaves it"
    )
    parser.add_argument("--output-dir", type=Path, required=True, help="the directory to write")
    parser.add_argument(
        "--checkpoint", default="model.pt", help="which of its weights (default: %(default)s)"
    )
    parser.add_argument("--dtype", choices=("fp32", "fp16"), default="fp16", help="default: %(default)s")
    parser.add_argument(
        "--format", choices=("funasr", "hf"), default="funasr", help="model.pt or model.safetensors"
    )
    arguments = parser.parse_args(argv)
    from funasr_sap.models.directory import export

    parameters, size = export(
        arguments.model_dir,
        arguments.output_dir,
        arguments.checkpoint,
        half=arguments.dtype == "fp16",
        format=arguments.format,
    )
    print(f"{arguments.output_dir}: {parameters / 1e6:.2f} M parameters, {size / 1e6:.1f} MB")
