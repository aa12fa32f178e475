r"""Mix general and domain data in stages, for domain adaptation without forgetting.

funasr-sap staged-data --general-train g/train.jsonl --general-val g/val.jsonl \
    --domain-train d/train.jsonl --domain-val d/val.jsonl --output-dir data/staged --ratios 50:50 20:80 0:100

Every stage holds the whole domain set; the general part is drawn to fit the ratio general:domain.
"""

import argparse
from collections.abc import Sequence

from funasr_sap.data.staged import DEFAULT_RATIOS, SOURCES, SPLITS, format_table, prepare_staged_data


def main(argv: Sequence[str] | None = None) -> None:
    """Write the stages and print how much of which source each has."""
    arguments = _parser().parse_args(argv)
    files = {
        (source, split): getattr(arguments, f"{source}_{split}") for source in SOURCES for split in SPLITS
    }
    parts = prepare_staged_data(files, arguments.output_dir, arguments.ratios, arguments.by, arguments.seed)
    print(format_table(parts))


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    for source in SOURCES:
        for split in SPLITS:
            parser.add_argument(
                f"--{source}-{split}",
                f"--{source}_{split}",
                required=True,
                help=f"JSONL file, {source} {split} set",
            )
    parser.add_argument("--output-dir", "--output_dir", required=True, help="gets stage1/, stage2/, ...")
    parser.add_argument(
        "--ratios",
        nargs="+",
        default=DEFAULT_RATIOS,
        help="general:domain, one a stage (default: 50:50 20:80 0:100)",
    )
    parser.add_argument(
        "--by",
        choices=("utterances", "hours"),
        default="utterances",
        help="unit of the ratio (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the drawing (default: %(default)s)")
    return parser
