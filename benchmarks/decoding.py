#!/usr/bin/env python3
r"""Speed of decoding with the embedded model: batches, list sizes and pruning, as ratios in one run.

python benchmarks/decoding.py --utterances 64

Every row decodes the same synthetic utterances, its lists of N distractors beside the true words. RTF is
seconds of work a second of speech. The ratios are to the first row, batch 1 with N = 20 and an LLM that
writes token by token, the way FunASR's LLM models decode. Rows take turns, and the best round of each counts;
the first round warms up.
"""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import soundfile
from tqdm import tqdm

from funasr_sap.data.biasing import draw_biasing_list
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.data.mini_corpus import make_corpus
from funasr_sap.data.mini_corpus.vocabulary import dictionary_words
from funasr_sap.data.processes import count_cpus
from funasr_sap.metrics.report import markdown_table
from funasr_sap.tool import run


@dataclass(frozen=True)
class Row:
    """How one row of the table decodes."""

    batch_size: int
    distractors: int
    prune: str = "retrieval"
    use_llm: bool = True
    speculate: bool = True

    def __str__(self):
        way = self.prune if self.use_llm else "no LLM"
        way += "" if self.speculate else ", token by token"
        return f"batch {self.batch_size}, N = {self.distractors}, {way}"


ROWS = (
    Row(1, 20, speculate=False),
    Row(16, 20, speculate=False),
    Row(1, 20),
    Row(16, 20),
    Row(1, 0),
    Row(16, 0),
    Row(16, 100),
    Row(16, 100, "llm"),
    Row(16, 500),
    Row(16, 2000),
    Row(16, 100, use_llm=False),
)


def main(argv=None):
    """Make the speech, time every row, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model", default="sap2", help="name or directory (default: %(default)s)")
    parser.add_argument("--utterances", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of speech and lists (default: %(default)s)")
    parser.add_argument("--cpu-time", action="store_true", help="take CPU time: for a core that others share")
    arguments = parser.parse_args(argv)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        from funasr_sap import AutoModel

        make_corpus(folder, "dev", utterances=arguments.utterances, seed=arguments.seed)
        model = AutoModel(model=arguments.model, ncpu=count_cpus(), disable_pbar=True)
        best, seconds = measure(model, Path(folder), ROWS, arguments.rounds, arguments.seed, clock)
    base = best[ROWS[0]]
    cells = [
        (str(row), f"{arguments.utterances / t:.1f}", f"{t / seconds:.4f}", f"{base / t:.2f}")
        for row, t in best.items()
    ]
    print(markdown_table(("decoding", "utterances/s", "RTF", "speed, row 1 = 1"), cells))


def measure(
    model, folder: Path, rows, rounds: int, seed: int, clock=time.perf_counter
) -> tuple[dict[Row, float], float]:
    """Time every row by a clock: its best seconds, and the seconds of speech."""
    wavs, texts = read_kaldi(folder / "wav.scp"), read_kaldi(folder / "text")
    keywords, pool = read_biasing_list(folder / "keywords"), list(dictionary_words("train", "en"))
    best: dict[Row, float] = {}
    turns = [row for _ in range(rounds + 1) for row in rows]
    for number, row in enumerate(tqdm(turns, desc="decoding", disable=None)):
        rng = random.Random(seed)
        lists = [
            draw_biasing_list(keywords[utt_id], pool, row.distractors, rng, exclude=set(text.split()))
            if row.distractors
            else []
            for utt_id, text in texts.items()
        ]
        started = clock()
        model.generate(
            [wavs[utt_id] for utt_id in texts],
            hotwords=lists,
            batch_size=row.batch_size,
            prune=row.prune,
            use_llm=row.use_llm,
            speculate=row.speculate,
        )
        if number >= len(rows):
            best[row] = min(best.get(row, float("inf")), clock() - started)
    return best, sum(soundfile.info(path).duration for path in wavs.values())


if __name__ == "__main__":
    run(main)
