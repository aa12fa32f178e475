#!/usr/bin/env python3
r"""Repeat the domain's training set until it is as much as all stages train on.

python local/repeat_domain.py --staged-data data/mini.staged --plan conf/stages.yaml \
    --base ../../conf/finetune.yaml --domain-train data/mini/domain_train/data.jsonl \
    --output data/mini.repeated/train.jsonl
"""

import argparse
import dataclasses
import itertools
from pathlib import Path

from funasr_sap.data.jsonl import read_jsonl, write_jsonl
from funasr_sap.data.staged import read_parts
from funasr_sap.tool import run
from funasr_sap.train.stages import read_plan


def main(argv=None):
    """Write the set; an utterance's id tells which time it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("staged-data", "plan", "base", "domain-train", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args(argv)
    epochs = [config["train_conf"]["max_epoch"] for _, config in read_plan(arguments.plan, arguments.base)]
    parts = [part for part in read_parts(arguments.staged_data) if part.split == "train"]
    wanted = sum(part.utterances * epochs[part.stage - 1] for part in parts)
    utterances = read_jsonl(arguments.domain_train)
    repeated = (
        dataclasses.replace(each, key=f"{each.key}-{time}")
        for time in itertools.count(1)
        for each in utterances
    )
    write_jsonl(arguments.output, itertools.islice(repeated, wanted))
    print(f"{arguments.output}: {len(utterances)} utterances, repeated to {wanted}")


if __name__ == "__main__":
    run(main)
