#!/usr/bin/env python3
"""Leave out of training what test sets have: the same sentence, or a word that is rare there.

python local/part_sets.py --training data/domain_train/data.jsonl --test data/general_test data/domain_test
"""

import argparse
from pathlib import Path

from funasr_sap.data.jsonl import read_jsonl, write_jsonl
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.tool import run


def main(argv=None):
    """Write the training sets anew, in place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--training", nargs="+", type=Path, required=True, help="JSONL files")
    parser.add_argument("--test", nargs="+", type=Path, required=True, help="Kaldi directories")
    arguments = parser.parse_args(argv)
    texts, rare = set(), set()
    for folder in arguments.test:
        texts.update(read_kaldi(folder / "text").values())
        rare.update(word for words in read_biasing_list(folder / "keywords").values() for word in words)
    for path in arguments.training:
        utterances = read_jsonl(path)
        kept = [each for each in utterances if each.text not in texts and not rare & set(each.text.split())]
        write_jsonl(path, kept)
        print(f"{path}: {len(utterances) - len(kept)} of {len(utterances)} utterances left out")


if __name__ == "__main__":
    run(main)
