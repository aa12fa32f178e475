#!/usr/bin/env python3
r"""Speed of alignment and counting against the algorithm of the IS21 script in pure Python.

    taskset -c 1 python benchmarks/score_alignment.py
    taskset -c 1 python benchmarks/score_alignment.py --ref test-clean.biasing_100.tsv --hyp hyp.tsv

The baseline is the algorithm of fbai-speech, is21_deep_bias/score.py at 43cdb3c, written anew: for each
utterance the full table of costs with a back-pointer in every cell, then the trace. Without --ref and --hyp,
2,620 utterances of the size of test-clean are made up: 1 to 80 words, 20 on average, 4 % of them wrong, one
in ten biased. Both get the same split words and biased words, they take turns, and the best round of each
counts, in CPU time. They must count the same. Reading, splitting and hotword counting are left out.
"""

import argparse
import random
import time

from funasr_sap.errors import ConfigError
from funasr_sap.metrics.alignment import IS21_RULE
from funasr_sap.metrics.transcripts import read_transcripts
from funasr_sap.metrics.wer import count_errors
from funasr_sap.tool import run

UTTERANCES = 2620
DIAGONAL, INSERTION, DELETION = range(3)


def main(argv=None):
    """Time both on the same utterances and print the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--ref", help="biasing TSV of LibriSpeech (default: made up)")
    parser.add_argument("--hyp", help="hypotheses for it")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of what is made up (default: %(default)s)")
    args = parser.parse_args(argv)
    utterances = read(args.ref, args.hyp) if args.ref else make_up(random.Random(args.seed))
    best = race(utterances, args.rounds)
    for name, time_taken in best.items():
        print(f"{name:8} {time_taken:7.3f} s  {len(utterances) / time_taken:9.0f} utterances/s")
    print(f"ratio {best['baseline'] / best['ours']:.1f} (best of {args.rounds} rounds); same counts")


def race(utterances, rounds):
    """Count by both in turns, and compare the counts: the best seconds of CPU of each."""
    seconds = {"baseline": [], "ours": []}
    for _ in range(rounds):
        for name, count in (("baseline", count_plainly), ("ours", count_errors_is21)):
            started = time.process_time()
            totals = [count(*utterance) for utterance in utterances]
            seconds[name].append(time.process_time() - started)
            if name == "baseline":
                expected = totals
        if list(map(list, totals)) != list(map(list, expected)):
            raise SystemExit("the counts differ")
    return {name: min(times) for name, times in seconds.items()}


def read(ref, hyp):
    """Return reference words, hypothesis words and biased words of each utterance."""
    if not hyp:
        raise ConfigError("--ref needs --hyp as well.")
    reference, texts = read_transcripts(ref), read_transcripts(hyp).texts
    rare_words = reference.rare_words or {}
    return [
        (text.split(), texts[utt_id].split(), set(rare_words.get(utt_id, ())))
        for utt_id, text in reference.texts.items()
    ]


def make_up(rng):
    """Make up reference words, hypothesis words and biased words of each utterance."""
    vocabulary = [f"w{number}" for number in range(5000)]
    utterances = []
    for _ in range(UTTERANCES):
        ref = rng.choices(vocabulary, k=min(80, 1 + int(rng.expovariate(1 / 19.5))))
        hyp = []
        for word in ref:
            change = rng.random()
            if change < 0.03:
                hyp.append(rng.choice(vocabulary))
            elif change < 0.035:
                hyp += [word, rng.choice(vocabulary)]
            elif change > 0.04:
                hyp.append(word)
        utterances.append((ref, hyp, {word for word in ref if rng.random() < 0.1}))
    return utterances


def count_errors_is21(ref, hyp, biased):
    """Count with the package."""
    return count_errors(ref, hyp, biased, IS21_RULE)


def count_plainly(ref, hyp, biased):
    """Count words, substitutions, insertions and deletions of the unbiased and the biased words."""
    parts = [0, 0, 0, 0], [0, 0, 0, 0]
    for word in ref:
        parts[word in biased][0] += 1
    for ref_word, hyp_word in align_plainly(ref, hyp):
        if ref_word is None:
            parts[hyp_word in biased][2] += 1
        elif hyp_word is None:
            parts[ref_word in biased][3] += 1
        elif ref_word != hyp_word:
            parts[ref_word in biased][1] += 1
    return parts


def align_plainly(ref, hyp):
    """Align by the full dynamic programme: ties prefer the diagonal, then an insertion, then a deletion."""
    costs = [[0] * (len(hyp) + 1) for _ in range(len(ref) + 1)]
    steps = [[DIAGONAL] * (len(hyp) + 1) for _ in range(len(ref) + 1)]
    for j in range(1, len(hyp) + 1):
        costs[0][j], steps[0][j] = 3 * j, INSERTION
    for i in range(1, len(ref) + 1):
        costs[i][0], steps[i][0] = 3 * i, DELETION
        for j in range(1, len(hyp) + 1):
            cost, step = costs[i - 1][j - 1] + (0 if ref[i - 1] == hyp[j - 1] else 4), DIAGONAL
            if costs[i][j - 1] + 3 < cost:
                cost, step = costs[i][j - 1] + 3, INSERTION
            if costs[i - 1][j] + 3 < cost:
                cost, step = costs[i - 1][j] + 3, DELETION
            costs[i][j], steps[i][j] = cost, step
    pairs, i, j = [], len(ref), len(hyp)
    while i or j:
        step = steps[i][j]
        i -= step != INSERTION
        j -= step != DELETION
        pairs.append((None if step == INSERTION else ref[i], None if step == DELETION else hyp[j]))
    return pairs[::-1]


if __name__ == "__main__":
    run(main)
