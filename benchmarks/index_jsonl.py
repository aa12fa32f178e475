#!/usr/bin/env python3
r"""Time and memory to index a JSONL file as large as the published SAP² metadata, against parsing it alone.

taskset -c 1 python benchmarks/index_jsonl.py

The file is made in a temporary folder: 1,090,000 lines, each with a transcript of 20 words and a biasing list
of 50. JsonlIndex reads and checks all of it. The baseline is json.loads of each line and nothing else; both
are run in a process of their own. Ratios hold on any machine; the seconds are those of this one. Utterances
are then fetched from the index in random order, as a sampler does.
"""

import argparse
import json
import multiprocessing
import random
import tempfile
import time
from pathlib import Path

from funasr_sap.data.jsonl import write_jsonl
from funasr_sap.data.jsonl_index import JsonlIndex
from funasr_sap.data.utterance import Utterance
from funasr_sap.tool import run

FETCHED = 2000
WORDS, LIST_SIZE = 20, 50


def main(argv=None):
    """Make the file, index it and parse it, print a table."""
    summary, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=1_090_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the words (default: %(default)s)")
    arguments = parser.parse_args(argv)
    times = race(arguments.lines, arguments.seed)
    print(f"index / parse: {times[index_lines] / times[parse_lines]:.2f}")


def race(lines, seed=0):
    """Parse and index the same file: the seconds of each task."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.jsonl")
        write_jsonl(path, make_utterances(lines, random.Random(seed)))
        print(f"{lines} lines, {path.stat().st_size / 1e6:.0f} MB")
        times = {}
        for task in (parse_lines, index_lines):
            with multiprocessing.get_context("spawn").Pool(1) as pool:  # its peak memory is that of the task
                times[task], cpu, memory, note = pool.apply(measure, (task, path))
            name = task.__name__.replace("_", " ")
            print(f"{name:12}{times[task]:8.1f} s {cpu:8.1f} s of CPU {memory:8.0f} MB at most  {note}")
    return times


def make_utterances(number, rng):
    """Yield utterances whose words are drawn from 20,000."""
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(4, 12))) for _ in range(20_000)]
    for place in range(number):
        drawn = rng.choices(words, k=WORDS + LIST_SIZE)
        key = f"YwJcDEpyHPc_{place:07d}"
        text, hotwords = " ".join(drawn[:WORDS]), tuple(drawn[WORDS:])
        yield Utterance(key, f"wav/train/{key}.wav", text, hotwords, hotwords[:2], 100 * WORDS, WORDS)


def measure(task, path):
    """Run a task; return its seconds, seconds of CPU, the process' peak memory in MB, and a note."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = task(path)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    memory = int(status["VmHWM"].split()[0]) / 1024
    return wall, cpu, memory, fetch(result) if result else ""


def parse_lines(path):
    """Parse each line, keep nothing: the baseline."""
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            json.loads(line)


def index_lines(path):
    """Index the file."""
    return JsonlIndex(path)


def fetch(index):
    """Read utterances in random order, by position and by id."""
    positions = random.Random(0).choices(range(len(index)), k=FETCHED)
    started = time.perf_counter()
    keys = [index[position].key for position in positions]
    by_position = (time.perf_counter() - started) / FETCHED
    started = time.perf_counter()
    if [index.find(key) for key in keys] != positions:
        raise SystemExit("the index finds other utterances than it gives")
    by_id = (time.perf_counter() - started) / FETCHED
    return f"(an utterance by position: {by_position * 1e6:.0f} us, its position by id: {by_id * 1e6:.0f} us)"


if __name__ == "__main__":
    run(main)
