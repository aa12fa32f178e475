"""The plan of a staged finetuning: one YAML file for all stages, made into a configuration for each.

    python -m funasr_sap.train.stages --plan auto_finetune.yaml --base finetune.yaml --output-dir exp

writes ``exp/stage1/finetune.yaml`` and so on, and prints the ratios of the mixes, one a line; it writes
nothing without a folder.
"""

import argparse
import copy
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from funasr_sap.data.files import atomic_write
from funasr_sap.data.staged import read_parts
from funasr_sap.errors import ConfigError
from funasr_sap.funasr_keys import TRAIN_KEYS
from funasr_sap.models.builder import check_keys
from funasr_sap.models.directory import MODEL_KEYS
from funasr_sap.tool import run, split_help

CONFIG = "finetune.yaml"
PLAN_KEYS = ("all", "stages")
# What the tool decides itself, stage by stage.
DECIDED = {"model", "train_data_set_list", "valid_data_set_list"}
STAGE_KEYS = ({*MODEL_KEYS, *TRAIN_KEYS} | {"seed", "device", "ncpu"}) - DECIDED


def read_plan(path: Path, base: Path) -> list[tuple[str, dict]]:
    """Read the ratio and the whole configuration of each stage.

    Args:
        path: the plan; ``all`` and the stages' own keys count instead of those of ``base``.
        base: configuration of a training.

    Raises:
        ConfigError: unknown keys, stages without a ratio, or none at all.
    """
    plan, config = _read(path), _read(base)
    check_keys(str(path), plan, PLAN_KEYS)
    if not isinstance(plan.get("stages"), list) or not plan["stages"]:
        raise ConfigError(f"{path}: expected a list of stages, got {plan.get('stages')!r}")
    common = plan.get("all") or {}
    check_keys(f"{path}, all", common, STAGE_KEYS)
    stages = []
    for number, stage in enumerate(plan["stages"], 1):
        where = f"{path}, stage {number}"
        check_keys(where, stage, {"ratio", *STAGE_KEYS})
        ratio = stage.get("ratio")
        if not isinstance(ratio, str):  # YAML reads 50:50 as a number of base 60
            raise ConfigError(f'{where}: expected a ratio in quotes, such as "50:50", got {ratio!r}')
        own = {key: value for key, value in stage.items() if key != "ratio"}
        stages.append((ratio, merge(merge(config, common), own)))
    return stages


def merge(config: Mapping, changes: Mapping) -> dict:
    """Change a configuration section by section, key by key."""
    merged = copy.deepcopy(dict(config))
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def check_mixes(staged_data: str, ratios: list[str]) -> None:
    """Check that mixes were made in the ratios of a plan.

    Raises:
        ConfigError: where they were not.
    """
    found = [
        ratio
        for (_, ratio), _ in itertools.groupby(read_parts(staged_data), lambda part: (part.stage, part.ratio))
    ]
    if found != ratios:
        raise ConfigError(
            f"{staged_data} has the ratios {' '.join(found)}, the plan has {' '.join(ratios)}; mix anew"
        )


def _read(path: Path) -> dict:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: expected keys and values, got {found!r:.60}")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=split_help(__doc__)[0])
    parser.add_argument("--plan", type=Path, required=True, help="YAML of all stages")
    parser.add_argument("--base", type=Path, required=True, help="YAML of a training, which the plan changes")
    parser.add_argument("--output-dir", type=Path, help=f"gets stageN/{CONFIG}")
    parser.add_argument("--staged-data", help="mixes that are there already; they must have these ratios")
    arguments = parser.parse_args(argv)
    stages = read_plan(arguments.plan, arguments.base)
    if arguments.staged_data:
        check_mixes(arguments.staged_data, [ratio for ratio, _ in stages])
    for number, (ratio, config) in enumerate(stages, 1):
        if arguments.output_dir:
            with atomic_write(arguments.output_dir / f"stage{number}" / CONFIG) as stream:
                yaml.safe_dump(config, stream, sort_keys=False, allow_unicode=True)
        print(ratio)  # noqa: T201  (for the shell)


if __name__ == "__main__":
    run(main)
