"""What a staged finetuning did: a table of its stages.

python -m funasr_sap.train.stage_table --staged-data data/staged exp/stage1 exp/stage2 exp/stage3
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from funasr_sap.data.files import atomic_write
from funasr_sap.data.staged import SOURCES, Part, read_parts
from funasr_sap.errors import DataError
from funasr_sap.metrics.report import markdown_table
from funasr_sap.tool import run, split_help
from funasr_sap.train.history import ValidationHistory
from funasr_sap.train.record import read_metric

HEADER = (
    *("stage", "general:domain", "hours general", "hours domain", "epochs"),
    *("validation loss", "WER", "U-WER", "B-WER", "pruning F1"),
)
RATES = ("wer", "u_wer", "b_wer", "pruning_f1")


def stage_rows(folders: Sequence[Path], parts: Sequence[Part]) -> list[tuple[str, ...]]:
    """Make a row a stage: its data, its epochs, and the validation of its best checkpoint.

    Args:
        folders: of the stages, in order.
        parts: what ``read_parts`` read.

    Raises:
        DataError: a stage that was not mixed, or not validated.
    """
    rows = []
    for number, folder in enumerate(folders, 1):
        data = {part.source: part for part in parts if (part.stage, part.split) == (number, "train")}
        history = ValidationHistory(folder)
        best = history.best(read_metric(folder))
        if not data or best is None:
            what = "data" if not data else "validation"
            raise DataError(f"{folder}: stage {number} has no {what}; was it trained by auto_finetune.sh?")
        hours = ["?" if data[each].hours is None else f"{data[each].hours:.2f}" for each in SOURCES]
        rates = [f"{best[name]:.2f}" if name in best else "-" for name in RATES]
        epochs = str(history.entries[-1]["epoch"])
        rows.append((folder.name, data["domain"].ratio, *hours, epochs, f"{best['loss']:.4f}", *rates))
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=split_help(__doc__)[0])
    parser.add_argument("stages", nargs="+", type=Path, metavar="FOLDER", help="of the stages, in order")
    parser.add_argument("--staged-data", required=True, help="what prepare_staged_data.py wrote")
    parser.add_argument("--output", help="write the table here too")
    arguments = parser.parse_args(argv)
    table = markdown_table(HEADER, stage_rows(arguments.stages, read_parts(arguments.staged_data)))
    print(table)  # noqa: T201  (a tool)
    if arguments.output:
        with atomic_write(arguments.output) as stream:
            stream.write(f"{table}\n")


if __name__ == "__main__":
    run(main)
