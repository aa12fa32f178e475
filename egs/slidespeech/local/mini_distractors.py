#!/usr/bin/env python3
"""Write the pool of distractors of the mini corpus' test set: rare words that no training utterance has.

python local/mini_distractors.py --output data/mini/distractors
"""

import argparse

from funasr_sap.data.files import atomic_write
from funasr_sap.data.mini_corpus import rare_vocabulary
from funasr_sap.tool import run


def main(argv=None):
    """Write one word a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", required=True, help="the file to write")
    parser.add_argument("--size", type=int, default=7000, help="words (default: %(default)s)")
    arguments = parser.parse_args(argv)
    with atomic_write(arguments.output) as stream:
        stream.writelines(f"{word}\n" for word in rare_vocabulary("test", arguments.size))


if __name__ == "__main__":
    run(main)
