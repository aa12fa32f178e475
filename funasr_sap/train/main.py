"""Train a model with FunASR's Trainer, on a CPU or a GPU; resumes from its last checkpoint.

    funasr-sap train --config-name finetune ++model=sap2 ++output_dir=exp/finetune \\
        ++train_data_set_list=train.jsonl ++valid_data_set_list=val.jsonl

The keys are those of FunASR's ``funasr-train-ds``. The output folder is a model directory that
``AutoModel(model=...)`` loads.
"""

import argparse
import logging
import os
import sys
import textwrap
from pathlib import Path

import hydra
from omegaconf import DictConfig

from funasr_sap.configurations import FOLDER, list_configurations
from funasr_sap.tool import run

OPTIONS = """
Options, which are Hydra's:
  --config-name NAME  of a configuration, without .yaml; those of this package:
{names}
  --config-path DIR   where it is (default: in this package)
  ++KEY=VALUE         another value for a key, such as ++train_conf.max_epoch=3
  --cfg job           print the whole configuration, and train nothing
  --hydra-help        more of Hydra's options
"""

INDENT = " " * 22


@hydra.main(config_name=None, version_base=None)
def main_hydra(config: DictConfig) -> None:
    """Train with a composed configuration."""
    from funasr_sap.train.configuration import resolve  # imports FunASR, which takes seconds
    from funasr_sap.train.training import train

    logging.getLogger().setLevel(logging.INFO)
    train(resolve(config))


def main() -> None:
    """Run the command line; errors are one sentence."""
    run(train_from_shell)


def train_from_shell(argv: list[str] | None = None) -> None:
    """Compose the configuration that the arguments tell, and train."""
    arguments = sys.argv[1:] if argv is None else argv
    if {"-h", "--help"}.intersection(arguments):
        names = ", ".join(list_configurations())
        names = textwrap.fill(names, 100, initial_indent=INDENT, subsequent_indent=INDENT)
        sys.stdout.write((__doc__ or "") + OPTIONS.format(names=names))
        return
    sys.argv[1:] = _with_config_path(arguments)
    main_hydra()


def _with_config_path(arguments: list[str]) -> list[str]:
    """Give ``--config-path`` whole, as Hydra looks for a relative one beside this file.

    Without one, and for a ``conf`` that the current folder has not, it is that of the package.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-path", "-cp", default="conf")
    found, others = parser.parse_known_args(arguments)
    is_ours = Path(found.config_path) == Path("conf") and not os.path.isdir("conf")
    folder = FOLDER if is_ours else os.path.abspath(found.config_path)
    return ["--config-path", str(folder), *others]


if __name__ == "__main__":
    main()
