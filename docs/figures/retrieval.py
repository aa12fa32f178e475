#!/usr/bin/env python3
r"""Draw docs/figures/retrieval.png from the tables that benchmarks/retrieval.py writes.

python docs/figures/retrieval.py --input-dir docs/figures --output docs/figures/retrieval.png
"""

import argparse
import csv
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from funasr_sap.tool import run

OURS, ALL, FUZZY = "#1f6feb", "#8b949e", "#d29922"


def main(argv=None):
    """Draw recall, time and confidence side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--input-dir", required=True, help="has retrieval.csv and confidence.csv")
    parser.add_argument("--output", required=True, help="the picture")
    arguments = parser.parse_args(argv)
    rows = read_table(Path(arguments.input_dir) / "retrieval.csv")
    figure, (recall, speed, confidence) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    draw_recall(recall, rows)
    draw_time(speed, rows)
    draw_confidence(confidence, read_table(Path(arguments.input_dir) / "confidence.csv"))
    figure.savefig(arguments.output, dpi=120)


def read_table(path):
    """Read a table of numbers; what is missing is None."""
    with open(path, encoding="utf-8") as stream:
        return [{k: float(v) if v else None for k, v in row.items()} for row in csv.DictReader(stream)]


def draw_recall(axes, rows):
    """Recall of the spoken keywords among the best 20 and 5, on the utterances that all methods saw."""
    methods = (
        ("first_", "by confidence", OURS),
        ("all_", "by score per piece", ALL),
        ("fuzzy_", "fuzzy", FUZZY),
    )
    for name, label, color in methods:
        for top, style in ((20, "o-"), (5, "s--")):
            points = [(row["N"], row[f"{name}recall_{top}"]) for row in rows]
            points = [point for point in points if point[1] is not None]
            axes.plot(*zip(*points, strict=True), style, color=color, label=f"{label}, best {top}")
    axes.set(xscale="log", xlabel="wrong keywords in the list, N", ylabel="spoken keywords found (%)")
    axes.set(ylim=(0, 102), title="Recall")
    axes.legend(fontsize=8)


def draw_time(axes, rows):
    """CPU time of a query."""
    sizes = [row["N"] for row in rows]
    axes.plot(sizes, [row["all_ms"] for row in rows], "o-", color=ALL, label="aligning all")
    axes.plot(
        sizes, [row["query_p95_ms"] for row in rows], "o--", color=OURS, label="retrieval, 95th percentile"
    )
    axes.plot(sizes, [row["query_ms"] for row in rows], "o-", color=OURS, label="retrieval, median")
    axes.axhline(rows[0]["encoder_ms"], color="black", linestyle=":", label="audio, frontend, encoder")
    axes.set(xscale="log", yscale="log", xlabel="wrong keywords in the list, N", title="Time, one thread")
    axes.set(ylabel="ms an utterance")
    axes.legend(fontsize=8)


def draw_confidence(axes, rows):
    """The share that is spoken against the confidence."""
    sizes = sorted({row["N"] for row in rows})
    for place, size in enumerate(sizes):
        own = [row for row in rows if row["N"] == size and row["keywords"] >= 10]
        color = plt.get_cmap("viridis")(0.9 * place / max(1, len(sizes) - 1))
        points = [(row["confidence"], row["spoken"]) for row in own]
        axes.plot(*zip(*points, strict=True), "o-", color=color, label=f"N = {size:,.0f}")
    axes.plot([0, 1], [0, 1], color="black", linestyle=":")
    axes.set(xlabel="confidence", ylabel="share that is spoken", title="Calibration")
    axes.legend(fontsize=8)


if __name__ == "__main__":
    run(main)
