#!/usr/bin/env python3
"""Draw the history of benchmarks/run.py: one panel a ratio, its goal as a dashed line.

python benchmarks/plot_history.py --output docs/figures/performance_history.png
"""

import argparse
import csv
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from funasr_sap.errors import DataError
from funasr_sap.tool import run

COLUMNS = ("date", "commit", "hardware", "command", "metric", "against", "value", "unit", "goal", "note")
HISTORY = Path(__file__).with_name("history.csv")
ACROSS = 3  # panels side by side


def main(argv=None):
    """Read the history, draw it, say where the figure is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--history", type=Path, default=HISTORY, help="CSV (default: the one beside this)")
    parser.add_argument("--output", type=Path, required=True, help="the figure, such as history.png")
    arguments = parser.parse_args(argv)
    figure = draw(read_history(arguments.history))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.output)
    plt.close(figure)
    print(arguments.output)


def read_history(path: Path) -> list[dict]:
    """Read rows of the history; values and goals become numbers, a goal that is not there None.

    Raises:
        DataError: for a file that is not there, other columns than ``COLUMNS``, a value or a goal that is no
            number, or no row.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise DataError(f"{path}: got columns {reader.fieldnames}, expected {list(COLUMNS)}")
            rows = [_numbers(row, f"{path}:{reader.line_num}") for row in reader]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if not rows:
        raise DataError(f"{path}: got no row, expected one a ratio")
    return rows


def _numbers(row: dict, place: str) -> dict:
    if None in row or None in row.values():
        raise DataError(f"{place}: expected {len(COLUMNS)} values")
    try:
        return row | {"value": float(row["value"]), "goal": float(row["goal"]) if row["goal"] else None}
    except ValueError as error:
        raise DataError(f"{place}: got {error}, expected a number as value and as goal") from error


def draw(rows: list[dict]):
    """Make a figure with a panel for each pair of metric and baseline, runs in the order of the file."""
    runs = list(dict.fromkeys(row["commit"] for row in rows))
    panels = {}
    for row in rows:
        panels.setdefault((row["metric"], row["against"]), []).append(row)
    down = -(-len(panels) // ACROSS)
    figure, grid = plt.subplots(
        down, ACROSS, figsize=(13, 2.3 * down), dpi=100, squeeze=False, layout="constrained"
    )
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, ((metric, against), panel) in zip(grid.flat, panels.items(), strict=False):
        axes.plot([runs.index(row["commit"]) for row in panel], [row["value"] for row in panel], "o-", ms=4)
        goal = panel[-1]["goal"]
        if goal is not None:
            axes.axhline(goal, color="#c9731d", linestyle="--", label=f"goal {goal:g}")
            axes.legend(loc="best", fontsize=8)
        axes.set_title(f"{metric}\nagainst {against}", fontsize=9)
        axes.set_xlim(-0.5, len(runs) - 0.5)
        axes.set_ylim(0, 1.15 * max(goal or 0, *(row["value"] for row in panel)))
        axes.set_xticks(range(len(runs)), runs, rotation=60, fontsize=7)
        axes.tick_params(axis="y", labelsize=8)
        axes.grid(alpha=0.3)
    figure.supylabel(rows[-1]["unit"], fontsize=10)
    return figure


if __name__ == "__main__":
    run(main)
