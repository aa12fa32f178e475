r"""Read training logs of FunASR or of this package: a summary on stdout, curves as PNG and as an HTML page.

funasr-sap log exp/finetune/log.txt
funasr-sap log exp/mini/stage1 exp/mini/stage2 exp/mini/stage3 --html --output-dir exp \
    --score stage3=exp/mini/decode_stage3_retrieval/N100/score.json

A log's rotated parts (log.txt.1, log.txt.2.gz) are read with it. In a folder, train.log and log.txt are
looked for. The logs of one folder are one stage; the stages are drawn one after the other.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from funasr_sap.errors import ConfigError
from funasr_sap.metrics.report import read_score
from funasr_sap.train.log import read_stages
from funasr_sap.train.log_report import write_html, write_png
from funasr_sap.train.log_summary import summarize

RATES = ("wer", "u_wer", "b_wer")


def main(argv: Sequence[str] | None = None) -> None:
    """Read the logs, print the summary, write the curves."""
    arguments = _parser().parse_args(argv)
    stages = read_stages(arguments.logs)
    names = [stage.name for stage in stages]
    scores = {}
    for name, path in arguments.score:
        if name not in names:
            raise ConfigError(f"--score is for the stage {name!r}, expected one of {', '.join(names)}")
        result = read_score(path)
        scores[name] = {rate: result[rate]["error_rate"] for rate in RATES}
    for stage in stages:
        print(stage.name)
        for label, text in summarize(stage):
            print(f"  {label:26}{text}")
    first = Path(arguments.logs[0])
    folder = Path(arguments.output_dir or (first if first.is_dir() else first.parent))
    write_png(folder / "train_log.png", stages, scores)
    print(folder / "train_log.png")
    if arguments.html:
        write_html(folder / "train_log.html", stages, scores, title=f"Training: {', '.join(names)}")
        print(folder / "train_log.html")


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("logs", nargs="+", metavar="LOG", help="log files, or folders of them")
    parser.add_argument("--html", action="store_true", help="also write train_log.html")
    parser.add_argument(
        "--output-dir", help="for train_log.png and train_log.html (default: the first log's)"
    )
    parser.add_argument(
        "--score",
        action="append",
        type=_pair,
        default=[],
        metavar="STAGE=JSON",
        help="result of `score --json` for a stage's model: draws WER, U-WER, B-WER; repeat for more",
    )
    return parser


def _pair(text):
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected stage=score.json")
    return name, path
