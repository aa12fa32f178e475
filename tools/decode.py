#!/usr/bin/env python3
"""Decode a wav.scp with a model, and with biasing lists where they are given.

python tools/decode.py ++model_dir=sap2 ++scp_file=data/test/wav.scp ++biasing_list=data/test/biasing_list \
    ++output_dir=exp/decode
"""

import contextlib
import logging
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from funasr_sap.tool import option, parse_overrides, run


@dataclass
class DecodeOptions:
    """What the tool takes."""

    model_dir: str = option("a model directory, or a name such as sap2")
    scp_file: str = option("wav.scp or JSONL")
    output_dir: str = option("gets 1best_recog/{text,score,timestamp,keywords}")
    biasing_list: str | None = option("biasing lists by utterance id, or keywords for all, one a line", None)
    prune: str = option("retrieval, llm, none or joint", "retrieval")
    batch_size: int = option("utterances decoded together", 16)
    device: str = option("cpu, cuda:0, ...; a device that is not there falls back to the CPU", "cuda")


def main(argv=None):
    """Decode, write, report the real-time factor; 1 where an utterance could not be read."""
    options = parse_overrides(argv, DecodeOptions, __doc__)
    # FunASR prints notices; stdout is for results.
    with contextlib.redirect_stdout(sys.stderr):
        from funasr_sap.auto_model import AutoModel

        model = AutoModel(
            model=options.model_dir, device=options.device, log_level="WARNING", ncpu=os.cpu_count()
        )
        started = time.perf_counter()
        results = model.generate(
            options.scp_file,
            hotwords=options.biasing_list and Path(options.biasing_list),
            prune=options.prune,
            batch_size=options.batch_size,
            output_dir=options.output_dir,
        )
    seconds = time.perf_counter() - started
    failed = sum("error" in result for result in results)
    print(f"{options.output_dir}: {len(results) - failed} utterances in {seconds:.0f} s, {failed} failed")
    if failed:
        logging.error("%d utterances not readable: see %s/1best_recog/errors", failed, options.output_dir)
    return 1 if failed else 0


if __name__ == "__main__":
    run(main)
