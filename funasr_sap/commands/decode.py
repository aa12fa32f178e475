r"""Decode a list of utterances with SAP², Paraformer or another of FunASR's models.

funasr-sap decode ++model_dir=sap2 ++scp_file=data/test/wav.scp ++biasing_list=data/test/biasing_list \
    ++output_file=exp/decode.txt ++output_dir=exp/decode ++nj=4

A run that was interrupted goes on where it stopped when the same command is given again. Exit status 1 where
an utterance could not be decoded; the others are.
"""

import contextlib
import dataclasses
import logging
import sys
from collections.abc import Sequence

from funasr_sap.options import DECODING, tool_help
from funasr_sap.tool import option, parse_overrides


@dataclasses.dataclass
class JobOptions:
    """What to decode, where results go, and how the work is shared out."""

    model_dir: str = option("a model directory, or a name such as sap2 or paraformer-zh")
    scp_file: str = option("wav.scp or JSONL")
    output_file: str | None = option("gets utt<TAB>text, in the order of the list", None)
    output_dir: str | None = option("gets 1best_recog/{text,score,time_stamp,keywords}", None)
    biasing_list: str | None = option("biasing lists by utterance id, or keywords for all, one a line", None)
    batch_size: int = option("utterances decoded together, at most", 16)
    batch_seconds: float = option("seconds of speech decoded together, padding included, at most", 240.0)
    nj: int | None = option("processes; not given: one a GPU, or one on the CPU", None)
    device: str = option("cuda (all GPUs), cuda:0, cpu; without a GPU, the CPU", "cuda")
    gpus: str | None = option("numbers of the GPUs to use, such as 0,1", None)
    vad_model: str | None = option("cuts long audio first, for example silero-vad", None)
    resume: bool = option("go on from what an interrupted run finished; false starts anew", True)


DecodeOptions = dataclasses.make_dataclass(
    "DecodeOptions",
    [(each.name, each.type | None, option(tool_help(each), None)) for each in DECODING],
    bases=(JobOptions,),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Decode, write, report the speed; 1 where an utterance could not be decoded."""
    given = dataclasses.asdict(parse_overrides(argv, DecodeOptions, __doc__))
    options = {each.name: given.pop(each.name) for each in DECODING}
    options = {name: value for name, value in options.items() if value is not None}
    logging.getLogger().setLevel(logging.WARNING)
    # FunASR prints notices; stdout is for results.
    with contextlib.redirect_stdout(sys.stderr):
        from funasr_sap.decode.job import DecodingJob

        summary = DecodingJob(**given, options=options).run()
    print(f"{given['output_file'] or given['output_dir']}: {summary}")
    return 1 if summary.failed else 0
