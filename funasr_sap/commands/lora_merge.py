"""Merge a model's adapters and its backbone into a model that stands alone.

funasr-sap lora-merge --model-dir exp/lora --output-dir exp/merged
funasr-sap lora-merge --model-dir exp/lora --output-dir exp/merged_hf --format hf
"""

import argparse
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> None:
    """Read the checkpoint and its backbone, merge, write the directory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model-dir", type=Path, required=True, help="a model directory with adapters")
    parser.add_argument("--output-dir", type=Path, required=True, help="the directory to write")
    parser.add_argument(
        "--checkpoint", default="model.pt", help="which of its weights (default: %(default)s)"
    )
    parser.add_argument("--format", choices=("funasr", "hf"), default="funasr", help="default: %(default)s")
    arguments = parser.parse_args(argv)
    from funasr_sap.models.directory import export

    parameters, size = export(
        arguments.model_dir, arguments.output_dir, arguments.checkpoint, half=False, format=arguments.format
    )
    print(f"{arguments.output_dir}: {parameters / 1e6:.2f} M parameters, {size / 1e6:.1f} MB")
