r"""Join wav.scp, text and biasing lists by utterance id, into the JSONL that training and decoding read.

funasr-sap scp2jsonl ++scp_file=data/train/wav.scp ++transcript_file=data/train/text \
    ++biasing_list=data/train/biasing_list ++jsonl_file=data/train/train.jsonl ++jobs=2

FunASR's own JSONL (source and target, for Paraformer) is written where scp_file_list is given; with it,
--help lists the keys of this form:

funasr-sap scp2jsonl ++scp_file_list='["data/train/wav.scp", "data/train/text"]' \
    ++data_type_list='["source", "target"]' ++jsonl_file_out=data/train/paraformer.jsonl
"""

import sys
from collections.abc import Sequence

from funasr_sap.data.funasr_jsonl import FunASRJsonlOptions, scp2funasr_jsonl
from funasr_sap.data.scp2jsonl import Scp2JsonlOptions, scp2jsonl
from funasr_sap.tool import parse_overrides


def main(argv: Sequence[str] | None = None) -> None:
    """Write the JSONL file."""
    argv = sys.argv[1:] if argv is None else argv
    if any(argument.lstrip("+").startswith("scp_file_list") for argument in argv):
        options = parse_overrides(argv, FunASRJsonlOptions, __doc__)
        output, (written, left_out) = options.jsonl_file_out, scp2funasr_jsonl(options)
    else:
        options = parse_overrides(argv, Scp2JsonlOptions, __doc__)
        output, (written, left_out) = options.jsonl_file, scp2jsonl(options)
    print(f"{output}: {written} utterances, {left_out} left out for unreadable audio")
