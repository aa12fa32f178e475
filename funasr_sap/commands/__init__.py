"""The sub-commands of ``funasr-sap``: each is the module of its name here, imported when it is called.

A module's ``main(argv)`` takes the arguments behind the name and returns an exit status, None for 0; its
docstring is what ``--help`` begins with. ``tools/*.py`` call the same functions in a checkout.
"""

import difflib
import importlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from funasr_sap.errors import ConfigError
from funasr_sap.tool import run

COMMANDS = {
    "recognise": {
        "transcribe": "recognise audio with hotwords; JSON on stdout",
        "decode": "recognise a long list in batches and processes; goes on where it stopped",
        "vocabulary": "check a list of hotwords, or store it for later calls",
    },
    "train": {
        "train": "train or finetune a model",
        "staged-data": "mix general and domain data in stages",
        "log": "summarise and draw training logs",
    },
    "score": {
        "score": "WER, U-WER, B-WER, hotword recognition; intervals and pages",
        "pruning-quality": "precision, recall and F1 of the keywords that were kept",
        "results-table": "several scores as one Markdown table",
    },
    "data": {
        "scp2jsonl": "join wav.scp, text and biasing lists into JSONL",
        "convert": "convert a data set from one format to another",
        "datasets": "turn transcripts and a folder of audio into a data set",
        "biasing-lists": "make biasing lists with distractors",
        "extract-keywords": "turn the keywords kept in stage 1 into the lists of stage 2",
    },
    "models": {
        "import-backbone": "make a model directory on published weights",
        "export": "write a trained model to share, with a model card",
        "average": "average checkpoints",
        "lora-merge": "merge adapters and backbone into a model that stands alone",
        "calibrate": "fit the confidence of keywords to a model",
        "backbone-sizes": "count the parameters of configurations",
    },
}
NAMES = [name for group in COMMANDS.values() for name in group]
WORD = re.compile("[a-z][a-z0-9-]+")  # not a file's name, nor an option


def list_commands() -> str:
    """Return the part of a help text that lists the sub-commands."""
    width = max(map(len, NAMES))
    lines = ["Commands, each with a --help of its own (funasr-sap COMMAND ...):"]
    for group, commands in COMMANDS.items():
        lines += ["", f"  {group}", *(f"    {name:{width}}  {what}" for name, what in commands.items())]
    return "\n".join(lines) + "\n"


def is_command(argv: Sequence[str]) -> bool:
    """Tell a call of a sub-command, of a misspelt one as well; ``funasr`` is FunASR's and has none."""
    if not argv or not WORD.fullmatch(argv[0]) or Path(sys.argv[0]).stem == "funasr":
        return False
    return argv[0] in NAMES or (bool(_alike(argv[0])) and not os.path.exists(argv[0]))


def run_command(argv: Sequence[str]) -> NoReturn:
    """Run a sub-command, and leave the process with its exit status."""
    run(lambda: _call(*argv))


def _call(name: str, *arguments: str) -> int | None:
    if name not in NAMES:
        raise ConfigError(f"unknown command {name!r}; did you mean {' or '.join(_alike(name))}?")
    sys.argv = [f"funasr-sap {name}", *arguments]  # argparse and Hydra take the program's name from there
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    return module.main(list(arguments))


def _alike(name: str) -> list[str]:
    return difflib.get_close_matches(name, NAMES, 2, 0.75)
