#!/usr/bin/env python3
r"""Join wav.scp, text and biasing lists by utterance id, into the JSONL that training and decoding read.

python tools/scp2jsonl.py ++scp_file=data/train/wav.scp ++transcript_file=data/train/text \
    ++biasing_list=data/train/biasing_list ++jsonl_file=data/train/train.jsonl ++jobs=2
"""

from funasr_sap.data.scp2jsonl import Scp2JsonlOptions, scp2jsonl
from funasr_sap.tool import parse_overrides, run


def main(argv=None):
    """Write the JSONL file."""
    options = parse_overrides(argv, Scp2JsonlOptions, __doc__)
    written, left_out = scp2jsonl(options)
    print(f"{options.jsonl_file}: {written} utterances, {left_out} left out for unreadable audio")


if __name__ == "__main__":
    run(main)
