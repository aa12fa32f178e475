"""Check a list of hotwords, or store it for later calls.

    funasr-sap vocabulary check products.txt
    funasr-sap vocabulary check products.txt --model exp/mine --json --strict
    funasr-sap vocabulary build products.txt --name products --store vocabularies
    funasr-sap vocabulary list --store vocabularies
    funasr-sap +input=talk.wav +hotwords=vocabularies/products

check says of each entry what the model will listen for, and what is wrong with it: "empty", "too long",
"doubled", "unheard" (nothing in it that the model knows a sound of; it is left out), "short" (heard as a word
of its own only) or "confusable" (it sounds like another one). build cleans, spells and indexes a list, which
takes seconds where it is long, and stores it under a name, for calls of any process. A file has one keyword a
line, or is JSON, YAML or CSV.
"""

import argparse
import collections
import contextlib
import dataclasses
import json
import logging
import sys
from pathlib import Path

from funasr_sap.context.vocabulary import VocabularyStore
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.hotwords import read_hotwords
from funasr_sap.text.columns import align
from funasr_sap.tool import split_help

HEADER = ("keyword", "heard as", "problem")
LONGEST = 40  # characters of a keyword in the table


def main(argv: list[str] | None = None) -> int:
    """Check, build or list, as the first argument says."""
    arguments = _parser().parse_args(argv)
    return arguments.work(arguments)


def _check(arguments: argparse.Namespace) -> int:
    """Print the entries; 1 where all must be right and one is not."""
    words, model = _read(arguments.file), _load(arguments.model).model
    from funasr_sap.context.vocabulary_check import check_vocabulary

    entries = check_vocabulary(words, model.hearing if model.ctc is not None else None)
    if arguments.json:
        for entry in entries:
            print(json.dumps(dataclasses.asdict(entry), ensure_ascii=False))
    else:
        for row in align([HEADER, *map(_row, entries)]):
            print("  ".join(row).rstrip())
    problems = collections.Counter(entry.problem for entry in entries if entry.problem)
    kinds = ", ".join(f"{number} {problem}" for problem, number in problems.items()) or "nothing is wrong"
    print(f"{arguments.file}: {len(entries)} keywords: {kinds}", file=sys.stderr)
    return 1 if arguments.strict and problems else 0


def _row(entry) -> tuple[str, str, str]:
    problem = f"{entry.problem}: {entry.other}" if entry.other else entry.problem or ""
    written = " ".join(entry.written.split())
    return written if len(written) <= LONGEST else f"{written[: LONGEST - 3]}...", entry.heard, problem


def _build(arguments: argparse.Namespace) -> int:
    """Store a list, as the model spells and hears it."""
    words, recogniser = _read(arguments.file), _load(arguments.model)
    vocabulary = VocabularyStore(arguments.store).put(arguments.name, words)
    prepared = recogniser.prepare(vocabulary)
    print(f"{vocabulary.folder}: {len(prepared)} keywords of {len(words)} entries")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    """Print the names in a store, with the number of entries and what names their content."""
    store = VocabularyStore(arguments.store)
    if not store.folder.is_dir():
        raise DataError(f"--store: no such folder: {arguments.store}")
    found = [store.get(name) for name in store.names()]
    for row in align([(each.name, str(len(each)), each.content) for each in found]):
        print("  ".join(row))
    return 0


def _read(file: str) -> list[str]:
    words = read_hotwords(Path(file))
    if not isinstance(words, list) or any(not isinstance(word, str) for word in words):
        raise DataError(f"{file} holds lists by utterance; expected one list of keywords, one a line")
    return words


def _load(name: str):
    """Load a ``SAP2`` in a ``Recogniser``."""
    logging.getLogger().setLevel(logging.WARNING)
    with contextlib.redirect_stdout(sys.stderr):  # FunASR prints notices; stdout is for results
        from funasr_sap.auto_model import AutoModel
        from funasr_sap.models.sap2 import SAP2
        from funasr_sap.recogniser import Recogniser

        loaded = AutoModel(model=name, device="cpu", log_level="WARNING", disable_pbar=True)
    if not isinstance(loaded.model, SAP2):
        kind = type(loaded.model).__name__
        raise ConfigError(f"--model: {name} is a {kind}; expected a model of this package's")
    return Recogniser(loaded.model, loaded.kwargs["frontend"])


def _parser() -> argparse.ArgumentParser:
    summary, details = split_help(__doc__)
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    works = parser.add_subparsers(required=True, metavar="check | build | list")
    check = works.add_parser("check", help="say what is heard, and what is wrong", allow_abbrev=False)
    build = works.add_parser("build", help="store a list with its index", allow_abbrev=False)
    listing = works.add_parser("list", help="say what is stored", allow_abbrev=False)
    for each, work in ((check, _check), (build, _build), (listing, _list)):
        each.set_defaults(work=work)
    for each in (check, build):
        each.add_argument("file", metavar="FILE", help="of the hotwords")
        each.add_argument(
            "--model", default="sap2", help="a name or a model directory (default: %(default)s)"
        )
    check.add_argument("--json", action="store_true", help="print a JSON object an entry")
    check.add_argument("--strict", action="store_true", help="leave with status 1 where anything is wrong")
    build.add_argument("--name", required=True, help="what to store it as")
    for each in (build, listing):
        each.add_argument("--store", required=True, metavar="DIR", help="folder of the vocabularies")
    return parser
