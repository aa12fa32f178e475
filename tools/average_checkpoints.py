#!/usr/bin/env python3
"""Average checkpoints of one training into one.

python tools/average_checkpoints.py --model-dir exp/mine --checkpoints model.pt.ep3 model.pt.ep4 model.pt.ep5
python tools/average_checkpoints.py --model-dir exp/mine --last 5 --output model.pt.avg5
"""

import argparse
from pathlib import Path

from funasr_sap.tool import run


def main(argv=None):
    """Read the checkpoints, average, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model-dir", type=Path, required=True, help="a model directory")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoints", nargs="+", help="files in the directory")
    which.add_argument("--last", type=int, help="so many of the newest epochs (model.pt.ep1, ...)")
    parser.add_argument("--output", default="model.pt.avg", help="file to write (default: %(default)s)")
    arguments = parser.parse_args(argv)
    from funasr_sap.models.averaging import average_checkpoints, newest_epochs

    names = arguments.checkpoints or newest_epochs(arguments.model_dir, arguments.last)
    average_checkpoints(
        [arguments.model_dir / name for name in names], arguments.model_dir / arguments.output
    )
    print(f"{arguments.model_dir / arguments.output}: the average of {', '.join(names)}")


if __name__ == "__main__":
    run(main)
