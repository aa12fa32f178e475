"""Run a ``DecodingJob`` of the stub in two processes: SCP OUTPUT LOG SECONDS."""

import functools
import sys

import stub_recogniser

from funasr_sap.tool import run


def main():
    from funasr_sap.decode import job  # here: the processes that it starts need not import torch

    scp, output, log, seconds = sys.argv[1:]
    job.build_recogniser = functools.partial(stub_recogniser.build, log=log, seconds=float(seconds))
    settings = {"device": "cpu", "nj": 2, "batch_size": 3}
    print(job.DecodingJob("stub", scp, f"{output}/all.txt", output, **settings).run())


if __name__ == "__main__":
    run(main)
