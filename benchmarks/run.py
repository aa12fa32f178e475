#!/usr/bin/env python3
r"""All speed ratios in one run: one table, each row against a baseline that is measured beside it.

python benchmarks/run.py
taskset -c 0,1 python benchmarks/run.py --history "2 quiet CPU cores" >> benchmarks/history.csv

Small sizes, which take some minutes; the other scripts here measure each part at full size. "times as fast"
is the baseline's time divided by ours, the best round of each; below 1 it is slower. The last column is the
goal that the project has set itself, where there is one.
"""

import argparse
import contextlib
import csv
import datetime
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cut_recordings
import decoding
import index_jsonl
import retrieval
import score_alignment
import scp2jsonl

from funasr_sap.metrics.report import markdown_table
from funasr_sap.tool import run

HEADER = ("what", "against", "times as fast", "goal")
DECODING = {
    "nano": decoding.Row(1, 20, speculate=False),
    "one": decoding.Row(1, 20),
    "many": decoding.Row(16, 20),
    "stages": decoding.Row(16, 100, "llm"),
    "long": decoding.Row(16, 2000),
    "fast": decoding.Row(16, 20, use_llm=False),
}
LIST = 200_000  # keywords of the retrieval row
ROOT = Path(__file__).parents[1]


def main(argv=None):
    """Measure everything, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--model", default="sap2", help="name or directory (default: %(default)s)")
    add("--utterances", type=int, default=32, help="of synthetic speech (default: %(default)s)")
    add("--rounds", type=int, default=2, help="of which the best counts (default: %(default)s)")
    add("--seed", type=int, default=0, help="of speech and lists (default: %(default)s)")
    add("--cpu-time", action="store_true", help="decoding in CPU time: for a core that others share")
    add("--history", metavar="HARDWARE", help="print rows of benchmarks/history.csv that name this hardware")
    arguments = parser.parse_args(argv)
    with contextlib.redirect_stdout(sys.stderr):
        rows = [row for part in (of_speech, of_data) for row in part(arguments)]
        cells = [(what, against, f"{ratio:.2f}", goal) for what, against, ratio, goal in rows]
    if arguments.history:
        write_history(cells, arguments.history, sys.argv[1:] if argv is None else argv)
    else:
        print(markdown_table(HEADER, cells))


def of_speech(arguments):
    """Make speech, decode it, search long lists for its keywords: rows of the table."""
    from funasr_sap import AutoModel
    from funasr_sap.context.fitting import listen
    from funasr_sap.data.mini_corpus import make_corpus
    from funasr_sap.data.processes import count_cpus

    with tempfile.TemporaryDirectory() as name:
        make_corpus(name, "dev", utterances=arguments.utterances, seed=arguments.seed)
        model = AutoModel(model=arguments.model, ncpu=count_cpus(), disable_pbar=True, log_level="WARNING")
        yield from of_decoding(model, Path(name), arguments)
        heard = list(listen(model.model, model.kwargs["frontend"], name))
    yield from of_retrieval(model.model, heard)


def of_decoding(model, folder, arguments):
    """Compare batches, stages and lists."""
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    rows = tuple(DECODING.values())
    best, seconds = decoding.measure(model, folder, rows, arguments.rounds, arguments.seed, clock)
    best = {name: best[row] for name, row in DECODING.items()}
    yield "batch 16, both stages, N = 100", "speech (RTF 1)", seconds / best["stages"], "12.5 (RTF 0.08)"
    nano = "batch 1, token by token, as FunASRNano"
    yield "batch 16, N = 20", nano, best["nano"] / best["many"], "4"
    yield "batch 1, N = 20", nano, best["nano"] / best["one"], "-"
    yield "batch 16, N = 20", "batch 1, N = 20", best["one"] / best["many"], "-"
    yield "batch 16, N = 2,000", "batch 16, N = 20", best["many"] / best["long"], "0.77 (1.3 times the cost)"
    yield "batch 16, N = 20, no LLM", "batch 16, N = 20", best["many"] / best["fast"], "-"


def of_retrieval(sap2, heard):
    """Search a list of 200,000 keywords by its index, and align all of it."""
    from funasr_sap.data.mini_corpus.vocabulary import rare_vocabulary

    words = rare_vocabulary("train", int(1.1 * LIST))
    row = retrieval.measure(sap2, heard, words, LIST, num_baseline=min(8, len(heard)), encoder_ms=0.0)
    yield f"retrieval from {LIST:,}", "aligning all", row["all_ms"] / row["query_ms"], "-"
    yield f"retrieval from {LIST:,}", "20 ms", 20 / row["query_ms"], "1"


def of_data(arguments):
    """Compare what prepares data and scores transcripts: rows of the table."""
    best = score_alignment.race(score_alignment.make_up(random.Random(arguments.seed)), arguments.rounds)
    yield "scoring", "IS21's algorithm in Python", best["baseline"] / best["ours"], "-"
    best = scp2jsonl.race(2000, arguments.rounds)
    yield "scp2jsonl", "Fun-ASR's threads", best["threads"] / best["ours"], "-"
    times = index_jsonl.race(50_000)
    parse, index = times[index_jsonl.parse_lines], times[index_jsonl.index_lines]
    yield "indexing JSONL", "json.loads", parse / index, "-"
    best, _ = cut_recordings.race(2, 5, arguments.rounds)
    yield "cutting recordings", "an opening each", best["an opening each"] / best["one pass"], "-"


def write_history(cells, hardware, given):
    """Print the table as rows of the history: ``COLUMNS`` of ``plot_history.py``, without a heading."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    options = [option for option in given if option not in ("--history", hardware)]
    command = " ".join(["python benchmarks/run.py", *options])
    run_of = (datetime.date.today().isoformat(), commit.stdout.strip() or "?", hardware, command)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for what, against, ratio, goal in cells:
        goal = "" if goal == "-" else goal.split()[0]  # "12.5 (RTF 0.08)"
        writer.writerow((*run_of, what, against, ratio, "times as fast", goal, ""))


if __name__ == "__main__":
    run(main)
