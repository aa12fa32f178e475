#!/usr/bin/env python3
"""Print the results of several runs of tools/score.py --json as one Markdown table.

    python tools/results_table.py --row "no context=exp/none/score.json" --row "N=100=exp/n100/score.json"

The path is what follows the last "=" of a row. The B-WER change is relative to the first row.
"""

import argparse
import json
from collections.abc import Sequence

from funasr_sap.data.files import atomic_write
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.tool import run

HEADER = ("condition", "WER", "U-WER", "B-WER", "B-WER change", "pruning P / R / F1")


def read_score(path: str) -> dict:
    """Read one result of ``tools/score.py``.

    Raises:
        DataError: the file is not such a result.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            result = json.load(stream)
        for name in ("wer", "u_wer", "b_wer"):
            result[name]["error_rate"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a result of tools/score.py --json ({error!r}).") from error
    return result


def format_rows(rows: Sequence[tuple[str, dict]]) -> list[tuple[str, ...]]:
    """Turn labelled results into the cells of the table; "-" where a figure has no meaning.

    Args:
        rows: condition and result of each run; B-WER changes are relative to the first.
    """
    base = rows[0][1]["b_wer"]["error_rate"]
    cells = []
    for number, (label, result) in enumerate(rows):
        rates = [result[name]["error_rate"] for name in ("wer", "u_wer", "b_wer")]
        change = "-"
        if number and base and rates[2] is not None:
            change = f"{100 * (rates[2] - base) / base:+.1f} %"
        pruning = result.get("pruning")
        kept = " / ".join(_rate(pruning[name]) for name in ("precision", "recall", "f1")) if pruning else "-"
        cells.append((label.replace("|", r"\|"), *map(_rate, rates), change, kept))
    return cells


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        _line(header, widths),
        _line(["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])], widths),
    ]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
    return f"| {' | '.join(padded)} |"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _split_row(row: str) -> tuple[str, str]:
    label, equals, path = row.rpartition("=")
    if not (equals and label.strip() and path.strip()):
        raise ConfigError(f'cannot use --row {row!r}: expected "condition=path.json".')
    return label.strip(), path.strip()


def main(argv: list[str] | None = None) -> None:
    """Print the table of the results that the arguments name."""
    summary, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--row", action="append", required=True, metavar="CONDITION=JSON", help="one row; repeat for more"
    )
    parser.add_argument("--output", help="write the table here too (default: stdout only)")
    args = parser.parse_args(argv)
    rows = [(label, read_score(path)) for label, path in map(_split_row, args.row)]
    table = markdown_table(HEADER, format_rows(rows))
    print(table)
    if args.output:
        with atomic_write(args.output) as stream:
            stream.write(table + "\n")


if __name__ == "__main__":
    run(main)
