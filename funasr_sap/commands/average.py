"""Average checkpoints of one training into one, or a finetuned model with the one it started from.

funasr-sap average --model-dir exp/mine --checkpoints model.pt.ep3 model.pt.ep4 model.pt.ep5
funasr-sap average --model-dir exp/mine --last 5 --output model.pt.avg5
funasr-sap average --model-dir exp/mine --checkpoints model.pt.best --start sap2
"""

import argparse
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> None:
    """Read the checkpoints, average, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model-dir", type=Path, required=True, help="a model directory")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoints", nargs="+", help="files in the directory")
    which.add_argument("--last", type=int, help="so many of the newest epochs (model.pt.ep1, ...)")
    parser.add_argument("--start", help="a model, by name or directory, whose weights are averaged in")
    parser.add_argument(
        "--start-share", type=float, default=0.5, help="how much of them, 0 to 1 (default: %(default)s)"
    )
    parser.add_argument("--output", default="model.pt.avg", help="file to write (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if not 0 <= arguments.start_share <= 1:
        parser.error(f"--start-share: expected a number from 0 to 1, got {arguments.start_share}")
    from funasr_sap.models.averaging import average_checkpoints, newest_epochs
    from funasr_sap.models.directory import find_weights

    names = arguments.checkpoints or newest_epochs(arguments.model_dir, arguments.last)
    files, output = [arguments.model_dir / name for name in names], arguments.model_dir / arguments.output
    start = find_weights(arguments.start) if arguments.start else None
    shares = average_checkpoints(files, output, start, arguments.start_share)
    print(f"{output}: the average of")
    for file, share in shares:
        print(f"{share:8.1%} {file}")
