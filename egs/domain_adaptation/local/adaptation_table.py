#!/usr/bin/env python3
"""Write the recipe's results: error rates on both test sets, and how much of the general set was forgotten.

python local/adaptation_table.py --decoded exp/mini/decode --models start domain_only stage1 stage2 stage3 \
    --sets general_test domain_test --command "bash egs/domain_adaptation/run.sh" --output exp/mini/RESULTS.md
"""

import argparse
import math
from pathlib import Path

from funasr_sap.data.files import atomic_write
from funasr_sap.metrics.report import describe_environment, markdown_table, read_score
from funasr_sap.tool import run

RATES = {"wer": "WER", "u_wer": "U-WER", "b_wer": "B-WER"}
GOAL = 10  # percent that the general WER may rise, relative


def main(argv=None):
    """Read the scores, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--decoded", type=Path, required=True, help="has MODEL/SET/score.json")
    parser.add_argument(
        "--models", nargs="+", required=True, help="the first is the start, the last the goal's"
    )
    parser.add_argument("--labels", nargs="+", required=True, help="what the models are called in the table")
    parser.add_argument("--sets", nargs=2, required=True, help="the general and the domain set")
    parser.add_argument("--command", required=True, help="that made the results")
    parser.add_argument("--seed", required=True, help="of the corpora")
    parser.add_argument("--output", required=True, help="the file to write")
    arguments = parser.parse_args(argv)
    scores = {
        model: {name: _read_rates(arguments.decoded / model / name / "score.json") for name in arguments.sets}
        for model in arguments.models
    }
    facts = [f"- command: `{arguments.command}`", *describe_environment(), f"- seed: {arguments.seed}"]
    rows = _rows(scores, arguments.labels, arguments.sets)
    header = ("model", *(f"{_short(name)} {rate}" for name in arguments.sets for rate in RATES.values()))
    table = markdown_table((*header, "general WER change"), rows)
    last = scores[arguments.models[-1]][arguments.sets[0]]["wer"]
    change = _change(last, scores[arguments.models[0]][arguments.sets[0]]["wer"])
    verdict = "met" if change <= GOAL else "not met"
    goal = f"Goal: {arguments.labels[-1]} raises the general WER by {GOAL} % of the start's at most: "
    goal += f"{change:+.1f} %, {verdict}."
    report = "\n\n".join(["\n".join(facts), table, goal])
    print(report)
    with atomic_write(arguments.output) as stream:
        stream.write(f"{report}\n")


def _read_rates(path: Path) -> dict[str, float]:
    score = read_score(path)
    return {rate: score[rate]["error_rate"] for rate in RATES}


def _rows(scores: dict, labels: list[str], sets: list[str]) -> list[tuple[str, ...]]:
    rows, start = [], None
    for label, found in zip(labels, scores.values(), strict=True):
        wer = found[sets[0]]["wer"]
        change = "-" if start is None else f"{_change(wer, start):+.1f} %"
        start = wer if start is None else start
        rows.append((label, *(f"{found[name][rate]:.2f}" for name in sets for rate in RATES), change))
    return rows


def _change(rate: float, start: float) -> float:
    """Percent of the start's rate; a start without errors can only stay so, or get infinitely worse."""
    if not start:
        return math.inf if rate else 0.0
    return 100 * (rate - start) / start


def _short(name: str) -> str:
    return name.partition("_")[0]


if __name__ == "__main__":
    run(main)
