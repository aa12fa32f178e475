"""Train a model with FunASR's Trainer, on a CPU or a GPU; resumes from its last checkpoint.

    funasr-sap-train --config-path conf --config-name finetune ++model=sap2 \\
        ++train_data_set_list=train.jsonl ++valid_data_set_list=val.jsonl ++output_dir=exp/finetune

The keys are those of FunASR's ``funasr-train-ds``. The output folder is a model directory that
``AutoModel(model=...)`` loads.
"""

import argparse
import logging
import os
import sys

import hydra
from omegaconf import DictConfig

from funasr_sap.tool import run
from funasr_sap.train.configuration import resolve
from funasr_sap.train.training import train


@hydra.main(config_name=None, version_base=None)
def main_hydra(config: DictConfig) -> None:
    """Run the command line."""
    logging.getLogger().setLevel(logging.INFO)
    train(resolve(config))


def main() -> None:
    """Run the command line; errors are one sentence."""
    sys.argv[1:] = _with_whole_path(sys.argv[1:])
    run(main_hydra)


def _with_whole_path(arguments: list[str]) -> list[str]:
    """Complete ``--config-path``: Hydra would look for a relative one beside this file."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-path", "-cp")
    found, others = parser.parse_known_args(arguments)
    return (
        others
        if found.config_path is None
        else ["--config-path", os.path.abspath(found.config_path), *others]
    )


if __name__ == "__main__":
    main()
