"""Train a model with FunASR's Trainer, on a CPU or a GPU; resumes from its last checkpoint.

    funasr-sap-train --config-path conf --config-name finetune ++model=sap2 \\
        ++train_data_set_list=train.jsonl ++valid_data_set_list=val.jsonl ++output_dir=exp/finetune

The keys are those of FunASR's ``funasr-train-ds``. The output folder is a model directory that
``AutoModel(model=...)`` loads.
"""

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
    if "--config-path" in sys.argv[:-1]:  # Hydra would look beside this file
        place = sys.argv.index("--config-path") + 1
        sys.argv[place] = os.path.abspath(sys.argv[place])
    run(main_hydra)


if __name__ == "__main__":
    main()
