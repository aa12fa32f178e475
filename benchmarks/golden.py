#!/usr/bin/env python3
r"""What decodes, recorded before a change and compared field by field after it.

python benchmarks/golden.py corpus --folder outputs/golden
python benchmarks/golden.py record --folder outputs/golden --output outputs/golden/before.json
python benchmarks/golden.py compare outputs/golden/before.json outputs/golden/after.json

``corpus`` makes speech of a fresh seed and its biasing lists; ``record`` decodes it in ten ways (no list, 100
and 2,000 distractors, wrong words alone, one list for all; each with and without rescoring); ``compare``
prints each field that differs and ends with status 1 where one does. Record with both versions on one
machine: sums of floating point differ between machines.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi, write_biasing_list
from funasr_sap.tool import run

WRONG, SHARED = 1000, 20_000  # words of a list of wrong words alone; distractors of the list for all
SHOWN = 10  # differences of each condition that are printed
CONDITIONS = ("none", "N100", "N2000", "wrong", "shared")


def main(argv=None) -> int:
    """Run one of the three commands."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True)
    corpus = commands.add_parser("corpus", help="make the speech and its lists")
    corpus.add_argument("--folder", type=Path, required=True)
    corpus.add_argument("--utterances", type=int, default=600)
    corpus.add_argument("--seed", type=int, default=2711)
    record = commands.add_parser("record", help="decode it")
    record.add_argument("--folder", type=Path, required=True, help="of the corpus")
    record.add_argument("--model", default="sap2", help="name or directory (default: %(default)s)")
    record.add_argument("--output", type=Path, required=True, help="a JSON file")
    record.add_argument(
        "--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS, help="(default: all)"
    )
    compare = commands.add_parser("compare", help="compare two recordings")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    arguments = parser.parse_args(argv)
    if arguments.command == "corpus":
        make_golden_corpus(arguments.folder, arguments.utterances, arguments.seed)
    elif arguments.command == "record":
        results = record_results(arguments.folder, arguments.model, arguments.conditions)
        with atomic_write(arguments.output) as stream:
            json.dump(results, stream, ensure_ascii=False, indent=0)
    else:
        before, after = (
            json.loads(path.read_text(encoding="utf-8")) for path in (arguments.before, arguments.after)
        )
        return compare_results(before, after)
    return 0


def make_golden_corpus(folder: Path, utterances: int, seed: int) -> None:
    """Write a test set of the mini corpus, and a ``biasing_list`` for each condition."""
    from funasr_sap.data.biasing import make_biasing_lists
    from funasr_sap.data.mini_corpus import make_corpus
    from funasr_sap.data.mini_corpus.vocabulary import rare_vocabulary

    make_corpus(folder, "test", utterances=utterances, seed=seed)
    texts, keywords = read_kaldi(folder / "text"), read_biasing_list(folder / "keywords")
    pool, nothing = rare_vocabulary("train", SHARED + 2000, lang="en"), {utt_id: [] for utt_id in texts}
    spoken = {word for words in keywords.values() for word in words}
    shared = sorted(spoken | set(random.Random(seed).sample(pool, SHARED)))
    lists = {
        "none": nothing,
        "N100": make_biasing_lists(keywords, pool, 100, seed, texts),
        "N2000": make_biasing_lists(keywords, pool, 2000, seed, texts),
        "wrong": make_biasing_lists(nothing, pool, WRONG, seed, texts),
    }
    for name, each in lists.items():
        write_biasing_list(folder / f"biasing_list.{name}", each)
    (folder / "shared.txt").write_text("\n".join(shared) + "\n", encoding="utf-8")


def record_results(folder: Path, model_name: str, conditions: Sequence[str] = CONDITIONS) -> dict:
    """Decode the corpus in some conditions: results by condition and utterance."""
    from funasr_sap import AutoModel

    model = AutoModel(model=model_name, disable_pbar=True)
    wavs = read_kaldi(folder / "wav.scp")
    results = {}
    for condition in conditions:
        if condition == "shared":
            hotwords = (folder / "shared.txt").read_text(encoding="utf-8").split()
        else:
            lists = read_biasing_list(folder / f"biasing_list.{condition}")
            hotwords = [lists[utt_id] for utt_id in wavs]
        for rescore in (True, False):
            found = model.generate([*wavs.values()], hotwords=hotwords, rescore=rescore)
            results[f"{condition} rescore={rescore}"] = {
                utt_id: {key: value for key, value in each.items() if key != "key"}
                for utt_id, each in zip(wavs, found, strict=True)
            }
            sys.stderr.write(f"{condition} rescore={rescore}: {len(found)} utterances\n")
    return results


def compare_results(before: dict, after: dict) -> int:
    """Print what differs, field by field, in the conditions that both have; 1 where something does."""
    count = 0
    for condition, utterances in before.items():
        if condition not in after:
            continue
        lines = [
            f"  {utt_id} {field}: {value!r} -> {after[condition][utt_id].get(field)!r}"
            for utt_id, result in utterances.items()
            for field, value in result.items()
            if after[condition][utt_id].get(field) != value
        ]
        print(f"{condition}: {len(utterances)} utterances, {len(lines)} fields differ")
        print("\n".join(lines[:SHOWN]), end="\n" if lines else "")
        count += len(lines)
    return 1 if count else 0


if __name__ == "__main__":
    run(main)
