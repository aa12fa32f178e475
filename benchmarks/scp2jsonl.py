#!/usr/bin/env python3
r"""Throughput of tools/scp2jsonl.py against Fun-ASR's thread-based script, on the same short wavs.

taskset -c 0,1 python benchmarks/scp2jsonl.py --utterances 20000

The baseline is the algorithm of FunAudioLLM/Fun-ASR, tools/scp2jsonl.py at 45c8c96, written anew: wav.scp
and text paired by position, one future a line in a pool of threads, soundfile.info and tokenizer.tokenize
for each, lines written as they are done, a progress bar with counts. Both get the embedded model's
tokenizer. They take turns, and the best round of each counts. Loading the tokenizer is left out of the
baseline's time, and is part of ours. The contents are compared: the same, but for the order and the key
that ours have.
"""

import argparse
import json
import os
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from funasr_sap.data.processes import count_cpus
from funasr_sap.data.scp2jsonl import Scp2JsonlOptions, scp2jsonl
from funasr_sap.tool import run

TOKENIZER = Path(__file__).parents[1] / "funasr_sap/pretrained/sap2_tiny/tokenizer"
TEXT = "the leaf makes sugar of light and water in a process that is called photosynthesis"


def main(argv=None):
    """Make the wavs, time both, compare what they write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--utterances", type=int, default=20000, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of lengths and texts (default: %(default)s)")
    arguments = parser.parse_args(argv)
    best = race(arguments.utterances, arguments.rounds, arguments.seed)
    for what, time_taken in best.items():
        print(f"{what:8} {time_taken:7.2f} s  {arguments.utterances / time_taken:9.0f} utterances/s")
    ratio = best["threads"] / best["ours"]
    print(f"ratio {ratio:.2f} (best of {arguments.rounds} rounds, {count_cpus()} CPUs); same content")


def race(utterances, rounds, seed=0):
    """Convert the same list by both in turns, and compare what they write: the best seconds of each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_corpus(folder, utterances, random.Random(seed))
        seconds = {"threads": [], "ours": []}
        for _ in range(rounds):
            seconds["threads"].append(baseline(folder))
            seconds["ours"].append(ours(folder))
        compare(folder)
    return {what: min(times) for what, times in seconds.items()}


def make_corpus(folder, utterances, rng):
    """Write wavs of 0.1 to 1 s, wav.scp and text."""
    words = TEXT.split()
    with open(folder / "wav.scp", "w") as scp, open(folder / "text", "w") as text:
        for number in range(utterances):
            path = folder / f"{number}.wav"
            soundfile.write(path, np.zeros(rng.randrange(1600, 16000), np.int16), 16000)
            scp.write(f"utt{number} {path}\n")
            text.write(f"utt{number} {' '.join(rng.choices(words, k=rng.randint(3, 20)))}\n")


def ours(folder):
    """Write ours.jsonl; returns seconds."""
    files = (folder / "wav.scp", folder / "text", folder / "ours.jsonl")
    started = time.perf_counter()
    scp2jsonl(Scp2JsonlOptions(*map(str, files), tokenizer=str(TOKENIZER)))
    return time.perf_counter() - started


def baseline(folder):
    """Write threads.jsonl as Fun-ASR's script does; returns seconds."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER, local_files_only=True)
    started = time.perf_counter()
    pairs = list(zip((folder / "wav.scp").open(), (folder / "text").open(), strict=True))
    with (
        tqdm(total=len(pairs)) as bar,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        open(folder / "threads.jsonl", "w") as output,
    ):
        futures = [pool.submit(baseline_line, tokenizer, pair) for pair in pairs]
        for done, future in enumerate(as_completed(futures), 1):
            json.dump(future.result(), output, ensure_ascii=False)
            output.write("\n")
            bar.update(1)
            bar.set_postfix({"processed": done, "failed": 0})
    return time.perf_counter() - started


def baseline_line(tokenizer, pair):
    """Return the object of one line."""
    (utt_id, path), (other_id, text) = (line.strip().split(maxsplit=1) for line in pair)
    if utt_id != other_id or not os.path.exists(path):
        raise SystemExit(f"{utt_id}: not a pair")
    prompt = f"语音转写：<|startofspeech|>!{path}<|endofspeech|>"
    messages = [("system", "You are a helpful assistant."), ("user", prompt), ("assistant", text)]
    return {
        "messages": [{"role": role, "content": content} for role, content in messages],
        "speech_length": int((soundfile.info(path).duration * 1000 - 25) // 10 + 1),
        "text_length": len(tokenizer.tokenize(text)),
    }


def compare(folder):
    """Leave with an error where the two files differ in more than order and key."""
    lines = [json.loads(line) for line in (folder / "ours.jsonl").open()]
    keys = [line.pop("key") for line in lines]
    expected = [line.split()[0] for line in (folder / "wav.scp").open()]
    theirs = [json.loads(line) for line in (folder / "threads.jsonl").open()]
    same = sorted(map(json.dumps, theirs)) == sorted(map(json.dumps, lines))
    if keys != expected or not same:
        raise SystemExit("the contents differ")


if __name__ == "__main__":
    run(main)
