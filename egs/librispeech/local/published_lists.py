#!/usr/bin/env python3
"""Take the published biasing lists of a test set over as they are (fbai-speech, is21_deep_bias/ref).

python local/published_lists.py --tsv is21_deep_bias/ref/test-clean.biasing_100.tsv \\
    --text data/960/test-clean/text --output data/960/test-clean/biasing_list.N100
"""

import argparse

from funasr_sap.data.biasing_tsv import iter_biasing_tsv
from funasr_sap.data.kaldi import read_kaldi, write_biasing_list
from funasr_sap.data.utterance import Utterance
from funasr_sap.errors import DataError
from funasr_sap.tool import run


def check(published: Utterance, texts: dict[str, str]) -> str | None:
    """Tell why a published line does not fit the test set, or None."""
    if published.key not in texts:
        return f"{published.key}: not in the test set"
    if published.text != texts[published.key]:
        return f"{published.key}: its text differs"
    return f"{published.key}: no biasing list, the fourth column" if published.hotwords is None else None


def main(argv=None):
    """Read the lists, check that they are those of the test set, then write them."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--tsv", required=True, help="id, text, rare words and biasing list, tabs between")
    parser.add_argument("--text", required=True, help="transcripts of the test set")
    parser.add_argument("--output", required=True, help="biasing list to write")
    arguments = parser.parse_args(argv)
    texts, problems = read_kaldi(arguments.text, allow_empty=True), []
    published = {each.key: each for each in iter_biasing_tsv(arguments.tsv, problems)}
    problems += [f"{key}: not in {arguments.tsv}" for key in texts if key not in published]
    problems += list(filter(None, (check(each, texts) for each in published.values())))
    if problems:
        raise DataError.from_lines(f"cannot use {arguments.tsv} for {arguments.text}", problems)
    write_biasing_list(arguments.output, {key: each.hotwords for key, each in published.items()})


if __name__ == "__main__":
    run(main)
