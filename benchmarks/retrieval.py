#!/usr/bin/env python3
r"""Retrieval from 100 to 200,000 keywords: recall, time and memory, against aligning every keyword.

python benchmarks/retrieval.py --output-dir exp/retrieval
python docs/figures/retrieval.py --input-dir exp/retrieval

Speech is made by the mini corpus (split dev); the lists hold its keywords and N rare words of split train.
Two baselines: "all" aligns every keyword and ranks by score per piece; "fuzzy" is rapidfuzz's partial_ratio
in the greedy transcript. Both see the first utterances only; "first" is our recall on those. Times are CPU
time of one thread, medians over utterances. The keywords that the index finds are compared with those of
aligning all: none may be lost.
"""

import argparse
import contextlib
import csv
import statistics
import sys
import tempfile
import time
from pathlib import Path

import rapidfuzz
import torch

from funasr_sap.context.alignment import align_keywords
from funasr_sap.context.biasing_list import encode_keyword, pad_ids, prepared_keywords
from funasr_sap.context.fitting import collect_evidence, draw_lists, listen, reliability
from funasr_sap.context.retrieval import POOL
from funasr_sap.data.files import atomic_write
from funasr_sap.data.mini_corpus import make_corpus
from funasr_sap.data.mini_corpus.vocabulary import rare_vocabulary
from funasr_sap.tool import run

TOP = 20
SIZES = (100, 1_000, 10_000, 100_000, 200_000)
LARGEST_FUZZY = 10_000  # keywords; beyond, one query takes a minute


def main(argv=None):
    """Make the speech, encode it, measure each size, write two tables."""
    arguments = _parser().parse_args(argv)
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(sys.stderr):
        from funasr_sap.auto_model import AutoModel

        model = AutoModel(model=arguments.model_dir, device="cpu", log_level="WARNING", ncpu=1)
    with tempfile.TemporaryDirectory() as folder:
        make_corpus(folder, "dev", utterances=arguments.utterances, seed=arguments.seed, jobs=1)
        started = time.thread_time()
        heard = list(listen(model.model, model.kwargs["frontend"], folder))
    encoder = 1e3 * (time.thread_time() - started) / len(heard)
    print(f"{len(heard)} utterances; loading, frontend and encoder: {encoder:.1f} ms an utterance")
    words = rare_vocabulary("train", int(1.1 * max(arguments.sizes)))
    options = {"num_baseline": arguments.baseline_utterances, "encoder_ms": encoder}
    rows = [measure(model.model, heard, words, size, **options) for size in arguments.sizes]
    write_table(Path(arguments.output_dir) / "retrieval.csv", rows)
    table = confidence(model.model, heard, words, arguments.sizes)
    write_table(Path(arguments.output_dir) / "confidence.csv", table)


def measure(sap2, heard, words, size, num_baseline, encoder_ms):
    """Look each utterance's keywords up among ``size`` others, and compare with the baselines."""
    prepared_keywords.cache_clear()
    encode_keyword.cache_clear()
    started = time.thread_time()
    lists = list(draw_lists(heard, sap2.tokenizer, words, size))
    built = len(set(map(id, lists)))
    if built == 1:
        lists[0].index  # noqa: B018  (builds it)
    row = {"N": size, "encoder_ms": encoder_ms, "build_s": (time.thread_time() - started) / built}
    row["memory_mb"] = _memory(lists[0])
    ours = [_query(sap2, each, offered) for each, offered in zip(heard, lists, strict=True)]
    row["query_ms"] = statistics.median(milliseconds for _, milliseconds in ours)
    row["query_p95_ms"] = statistics.quantiles([milliseconds for _, milliseconds in ours], n=20)[-1]
    row |= _recall("", heard, [found for found, _ in ours])
    heard, lists, ours = heard[:num_baseline], lists[:num_baseline], ours[:num_baseline]
    row |= _recall("first_", heard, [found for found, _ in ours])
    everything = _align_all(sap2, heard, lists)
    row["all_ms"] = statistics.median(milliseconds for _, milliseconds in everything)
    row |= _recall("all_", heard, [found for found, _ in everything])
    if size <= LARGEST_FUZZY:
        row |= _recall("fuzzy_", heard, [_fuzzy(sap2, *each) for each in zip(heard, lists, strict=True)])
    print("  ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)
    return row


def _query(sap2, each, offered):
    """Retrieve: the 20 most probable keywords, and CPU milliseconds."""
    started = time.thread_time()
    found = sap2.retrieve(each.encoded, [offered], top=TOP, threshold=0.0)
    return [offered.words[place] for place in found.index[0]], 1e3 * (time.thread_time() - started)


def _align_all(sap2, heard, lists):
    """Align every keyword: the 20 of the best score per piece, and CPU milliseconds of the alignment."""
    results, padded = [], {}
    for each, offered in zip(heard, lists, strict=True):
        if id(offered) not in padded:
            padded = {id(offered): pad_ids([offered.ids])}
        pieces, mask = padded[id(offered)]
        started = time.thread_time()
        score = align_keywords(each.encoded.log_probs, each.encoded.frame_mask, pieces, mask).score[0]
        lengths = mask[0].sum(1)
        best = (score / lengths).topk(min(TOP, len(offered))).indices
        results.append(([offered.words[place] for place in best], 1e3 * (time.thread_time() - started)))
        if len(offered) > POOL:
            worth = score + sap2.calibration.reward * lengths
            speech = each.encoded.log_probs[0], each.encoded.frame_mask[0]
            found = offered.index.search(*speech, POOL, sap2.calibration.reward)
            torch.testing.assert_close(worth[found], worth.topk(POOL).values)  # it has lost nothing
    return results


def _fuzzy(sap2, each, offered):
    """Search the greedy transcript for the 20 most similar keywords."""
    path = each.encoded.log_probs[0].argmax(-1).unique_consecutive()
    text = sap2.tokenizer.decode(path[path != 0].tolist(), skip_special_tokens=True)
    found = rapidfuzz.process.extract(text, offered.words, scorer=rapidfuzz.fuzz.partial_ratio, limit=TOP)
    return [word for word, *_ in found]


def _recall(name, heard, found):
    """Share of the spoken keywords among the best 5 and the best 20, in percent."""
    total = sum(len(each.keywords) for each in heard)
    return {
        f"{name}recall_{top}": 100
        * sum(len({*each.keywords} & {*words[:top]}) for each, words in zip(heard, found, strict=True))
        / total
        for top in (5, TOP)
    }


def confidence(sap2, heard, words, sizes):
    """Compare confidence with what was spoken, for each size."""
    rows = []
    for size in sizes:
        columns, spoken = collect_evidence(heard, sap2.tokenizer, sap2.weigh, words, size)
        steps = reliability(sap2.calibration.probability(columns), spoken)
        rows += [{"N": size, "confidence": p, "spoken": s, "keywords": n} for p, s, n in steps]
    return rows


def write_table(path, rows):
    """Write rows as CSV, the columns of the first."""
    with atomic_write(path) as stream:
        table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n", restval="", extrasaction="ignore")
        table.writeheader()
        for row in rows:
            table.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})


def _memory(biasing_list):
    """Megabytes of a list and its index."""
    words = sum(sys.getsizeof(word) for word in biasing_list.words)
    arrays = *vars(biasing_list.ids).values(), *vars(biasing_list.index).values()
    return (words + sum(array.nbytes for array in arrays)) / 1e6


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--output-dir", required=True, help="gets retrieval.csv and confidence.csv")
    add("--model-dir", default="sap2", help="a model directory, or a name (default: %(default)s)")
    add("--sizes", type=int, nargs="+", default=SIZES, help="distractors a list (default: %(default)s)")
    add("--utterances", type=int, default=300, help="of the mini corpus (default: %(default)s)")
    add("--baseline-utterances", type=int, default=100, help="for the baselines (default: %(default)s)")
    add("--seed", type=int, default=8, help="of the speech (default: %(default)s)")
    return parser


if __name__ == "__main__":
    run(main)
